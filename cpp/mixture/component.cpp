#include "mixture/component.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/limits.hpp"
#include "math/special.hpp"
#include "mcmc/slice.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// log of a (a+1) ... (a+v-1) at ascending v, with log a given: a itself may underflow.
void log_risings(double log_a, const double* values, std::size_t n, double* out) {
  // a product of up to this many factors of this size does not overflow
  constexpr double longest_gap = 8.0, largest_factor = 1e30;
  const double a = std::exp(log_a);
  double before = 1.0, term = log_a;
  for (std::size_t i = 0; i < n; ++i) {
    const double gap = values[i] - before;
    if (gap > longest_gap || a > largest_factor) {
      term += log_rising(a + before, gap);
    } else if (gap > 0.0) {
      double product = a + before;
      for (double j = 1.0; j < gap; ++j) product *= a + before + j;
      term += std::log(product);
    }
    before = values[i];
    out[i] = term;
  }
}

// Tables of x draws at the concentration a: 1 + Bernoulli(a/(a+1)) + ... + Bernoulli(a/(a+x-1)).
double draw_tables(Stream& stream, double a, double x) {
  double tables = 1.0;
  // Level by level where most levels have a table, or few are left; then from success to success of an envelope:
  // P(none in (j, t]) = (j/t)^a, whose hazard 1 - (1 - 1/t)^a is at least a/(a+t).
  const double near = std::min(x, std::max(16.0, 4.0 * a));
  double j = 1.0;
  for (; j < near; ++j) tables += (a + j) * stream.uniform() < a;
  if (j >= x) return tables;
  if (!(a > 1e-12)) return tables;  // a further table has probability below a log(2^53)
  for (j = near - 1.0;;) {
    const double t = std::ceil(j * std::exp(exponential(stream) / a));
    if (!(t < x)) return tables;
    const double envelope = -std::expm1(a * std::log1p(-1.0 / t));
    tables += (a + t) * envelope * stream.uniform() < a;
    j = t;
  }
}

}  // namespace

ComponentSampler::ComponentSampler(const CountSlots& slots, const ModelView& model)
    : slots_(slots), model_(model), terms_(slots.n_slots()), total_terms_(slots.total_values.size()) {
  if (model.beta.fixed) return;
  double sum = 0.0;
  for (const double b : model.beta.values) {
    sum += b;
    log_normalizer_ -= log_abs_gamma(b);
  }
  log_normalizer_ += log_abs_gamma(sum);
}

double ComponentSampler::log_prior(const Component& component) const {
  double value = model_.alpha.log_density(component.log_alpha) + log_normalizer_;
  for (std::size_t k = 0; k < component.log_beta.size(); ++k) value += model_.beta.values[k] * component.log_beta[k];
  return value;
}

Component ComponentSampler::empty() const {
  Component result;
  result.log_beta.resize(slots_.n_categories);
  result.log_likelihood.resize(slots_.n_groups());
  result.tables.resize(slots_.n_categories);
  result.totals.resize(slots_.total_values.size());
  return result;
}

void ComponentSampler::draw_prior(Stream& stream, Component& component) const {
  const AlphaPrior& alpha = model_.alpha;
  component.log_alpha = alpha.kind == AlphaKind::fixed ? std::log(alpha.a) : alpha.draw_log(stream);
  const BetaPrior& beta = model_.beta;
  const std::size_t n = slots_.n_categories;
  if (beta.fixed) {
    for (std::size_t k = 0; k < n; ++k) component.log_beta[k] = std::log(beta.values[k]);
  } else if (beta.concentration) {
    constexpr double width = 2.0;  // of the slice's first interval on log c
    component.concentration.emplace(*beta.concentration, n, beta.concentration->draw_log(stream), width);
    std::fill(component.tables.begin(), component.tables.end(), component.concentration->value());
    log_dirichlet(stream, component.tables.data(), n, component.log_beta.data());
  } else {
    log_dirichlet(stream, beta.values.data(), n, component.log_beta.data());
  }
}

void ComponentSampler::fill_terms(double log_alpha, const std::vector<double>& log_beta) {
  log_alpha = std::clamp(log_alpha, -log_alpha_range, log_alpha_range);
  for (std::size_t k = 0; k < slots_.n_categories; ++k) {
    const std::size_t begin = slots_.category_begin[k], end = slots_.category_begin[k + 1];
    if (begin == end) continue;
    log_risings(log_alpha + log_beta[k], slots_.values.data() + begin, end - begin, terms_.data() + begin);
  }
  log_risings(log_alpha, slots_.total_values.data(), slots_.total_values.size(), total_terms_.data());
}

double ComponentSampler::sum_of_terms(std::size_t group) const {
  double sum = -total_terms_[slots_.total_slot[group]];
  for (std::size_t i = slots_.group_begin[group]; i < slots_.group_begin[group + 1]; ++i) {
    sum += terms_[slots_.slots[i]];
  }
  return sum;
}

void ComponentSampler::evaluate(Component& component, std::size_t first) {
  fill_terms(component.log_alpha, component.log_beta);
  for (std::size_t g = first; g < slots_.n_groups(); ++g) component.log_likelihood[g] = sum_of_terms(g);
}

void ComponentSampler::slice_alpha(Stream& stream, Component& component, const std::vector<std::size_t>& groups) {
  if (model_.alpha.kind == AlphaKind::fixed) return;
  const auto density = [&](double log_alpha) {
    double value = model_.alpha.log_density(log_alpha);
    if (!std::isfinite(value)) return value;
    fill_terms(log_alpha, component.log_beta);
    for (const std::size_t g : groups) value += sum_of_terms(g);
    return value;
  };
  constexpr double width = 2.0;
  component.log_alpha = slice(stream, component.log_alpha, width, density);
}

void ComponentSampler::count_tables(Stream& stream, const std::vector<std::int32_t>& labels,
                                    std::vector<Component>& components) const {
  for (Component& component : components) {
    std::fill(component.tables.begin(), component.tables.end(), 0.0);
    std::fill(component.totals.begin(), component.totals.end(), 0.0);
  }
  for (std::size_t g = 0; g < slots_.n_groups(); ++g) {
    Component& component = components[static_cast<std::size_t>(labels[g])];
    component.totals[slots_.total_slot[g]] += 1.0;
    const double log_alpha = std::clamp(component.log_alpha, -log_alpha_range, log_alpha_range);
    for (std::size_t i = slots_.group_begin[g]; i < slots_.group_begin[g + 1]; ++i) {
      const std::uint32_t slot = slots_.slots[i];
      const std::size_t k = slots_.slot_category[slot];
      const double x = slots_.values[slot];
      component.tables[k] += x > 1.0 ? draw_tables(stream, std::exp(log_alpha + component.log_beta[k]), x) : 1.0;
    }
  }
}

void ComponentSampler::update(Stream& stream, Component& component) const {
  if (model_.alpha.kind != AlphaKind::fixed) {
    double n_tables = 0.0, n_groups = 0.0;
    for (const double m : component.tables) n_tables += m;
    for (const double n : component.totals) n_groups += n;
    const auto density = [&](double log_alpha) {
      double value = model_.alpha.log_density(log_alpha);
      if (!std::isfinite(value)) return value;
      const double alpha = std::exp(std::clamp(log_alpha, -log_alpha_range, log_alpha_range));
      value += (n_tables - n_groups) * log_alpha;
      for (std::size_t i = 0; i < component.totals.size(); ++i) {
        if (component.totals[i] > 0.0) {
          value -= component.totals[i] * log_rising(alpha + 1.0, slots_.total_values[i] - 1.0);
        }
      }
      return value;
    };
    // the tables beyond the first of each group determine log alpha to about one over their root
    const double width = 4.0 / std::sqrt(1.0 + n_tables - n_groups);
    component.log_alpha = slice(stream, component.log_alpha, width, density);
  }
  if (model_.beta.fixed) return;
  if (component.concentration) {
    component.concentration->draw(stream, component.tables, component.log_beta.data());
    return;
  }
  for (std::size_t k = 0; k < component.tables.size(); ++k) component.tables[k] += model_.beta.values[k];
  log_dirichlet(stream, component.tables.data(), component.tables.size(), component.log_beta.data());
}

}  // namespace hbm_fast
