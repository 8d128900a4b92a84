#include "mixture/objective.hpp"

#include <algorithm>
#include <cmath>

#include "core/limits.hpp"
#include "math/special.hpp"

namespace hbm_fast {
namespace {

constexpr double absent = -1e300;  // log weight of the lanes that pad a block

// Range of a log concentration: a product of twelve factors is a normal number.
constexpr double largest_log_concentration = 40.0;
constexpr double smallest_log_concentration = -200.0;

// What is left of the information along the rank-one direction, as a share, below which that term is dropped: it is
// indefinite, or nearly so, far from the maximum.
constexpr double least_reserve = 1e-3;

}  // namespace

MixtureObjective::MixtureObjective(const CountSlots& slots, const MixturePrior& prior, std::size_t n_components)
    : slots_(slots),
      prior_(prior),
      n_components_(n_components),
      lanes_(n_components <= 4 ? 4 : 8),
      stride_((n_components + lanes_ - 1) / lanes_ * lanes_),
      kernels_(lanes_ == 4 ? mixture_kernels().four : mixture_kernels().eight) {
  for (const double b : prior.beta) {
    sum_beta_ += b;
    log_normalizer_ -= log_abs_gamma(b);
  }
  log_normalizer_ += log_abs_gamma(sum_beta_);
  a_.resize(slots.n_categories * stride_);
  total_.resize(stride_);
  terms_.resize(slots.n_slots() * stride_);
  sums_.resize(terms_.size());
  total_terms_.resize(slots.total_values.size() * stride_);
  total_sums_.resize(total_terms_.size());
  shares_.resize(slots.n_groups() * stride_);
  log_sums_.resize(slots.n_groups());
  block_.resize(lanes_);
  first_.resize(lanes_);
  second_.resize(lanes_);
}

MixturePoint MixtureObjective::point() const {
  const std::size_t n = n_parameters();
  MixturePoint result;
  result.parameters.assign(n, 0.0);
  std::fill(result.parameters.end() - static_cast<std::ptrdiff_t>(stride_), result.parameters.end(), absent);
  result.gradient.assign(n, 0.0);
  result.diagonal.assign(n - stride_, 1.0);
  result.rank_one.assign(stride_, 0.0);
  result.size.assign(stride_, 0.0);
  return result;
}

void MixtureObjective::read(MixturePoint& point, const double* log_concentration, const double* log_weights) const {
  const std::size_t k = slots_.n_categories;
  for (std::size_t c = 0; c < n_components_; ++c) {
    for (std::size_t i = 0; i < k; ++i) {
      point.parameters[i * stride_ + c] =
          std::clamp(log_concentration[c * k + i], smallest_log_concentration, largest_log_concentration);
    }
    point.parameters[k * stride_ + c] = log_weights[c];
  }
}

void MixtureObjective::write(const MixturePoint& point, double* log_concentration, double* log_weights) const {
  const std::size_t k = slots_.n_categories;
  for (std::size_t c = 0; c < n_components_; ++c) {
    for (std::size_t i = 0; i < k; ++i) log_concentration[c * k + i] = point.parameters[i * stride_ + c];
    log_weights[c] = point.parameters[k * stride_ + c];
  }
}

void MixtureObjective::concentrations(const MixturePoint& point) {
  std::fill(total_.begin(), total_.end(), 0.0);
  for (std::size_t k = 0; k < slots_.n_categories; ++k) {
    for (std::size_t c = 0; c < stride_; ++c) {
      const double log_a = point.parameters[k * stride_ + c];
      a_[k * stride_ + c] = std::exp(std::clamp(log_a, smallest_log_concentration, largest_log_concentration));
      total_[c] += a_[k * stride_ + c];
    }
  }
}

double MixtureObjective::log_prior(const MixturePoint& point) const {
  double result = 0.0;
  const double* const log_weights = point.parameters.data() + slots_.n_categories * stride_;
  for (std::size_t c = 0; c < n_components_; ++c) {
    const double log_alpha = std::log(total_[c]);
    result += log_normalizer_ + prior_.alpha.log_density(log_alpha) - sum_beta_ * log_alpha;
    if (prior_.weights != 1.0) {
      result += (prior_.weights - 1.0) * log_weights[c] - log_abs_gamma(prior_.weights);
    }
  }
  for (std::size_t k = 0; k < slots_.n_categories; ++k) {
    for (std::size_t c = 0; c < n_components_; ++c) result += prior_.beta[k] * point.parameters[k * stride_ + c];
  }
  if (prior_.weights != 1.0) {  // relative to the uniform density
    const auto n = static_cast<double>(n_components_);
    result += log_abs_gamma(n * prior_.weights) - log_abs_gamma(n);
  }
  return result;
}

void MixtureObjective::log_joint(MixturePoint& point, TimedPoll& poll) {
  concentrations(point);
  const std::size_t n_slots = slots_.n_slots(), n_totals = slots_.total_values.size();
  double* const log_weights = point.parameters.data() + slots_.n_categories * stride_;
  double largest = absent, sum = 0.0;
  for (std::size_t c = 0; c < n_components_; ++c) largest = std::max(largest, log_weights[c]);
  for (std::size_t c = 0; c < n_components_; ++c) sum += std::exp(log_weights[c] - largest);
  for (std::size_t c = 0; c < n_components_; ++c) log_weights[c] -= largest + std::log(sum);
  for (std::size_t from = 0; from < stride_; from += lanes_) {
    double* const terms = terms_.data() + from * n_slots;
    double* const total_terms = total_terms_.data() + from * n_totals;
    for (std::size_t k = 0; k < slots_.n_categories; ++k) {
      if (k % lane_count == 0) poll();
      const std::size_t begin = slots_.category_begin[k];
      kernels_.log_rising(a_.data() + k * stride_ + from, slots_.values.data() + begin,
                          slots_.category_begin[k + 1] - begin, terms + begin * lanes_);
    }
    kernels_.log_rising(total_.data() + from, slots_.total_values.data(), n_totals, total_terms);
    for (std::size_t g = 0; g < slots_.n_groups(); g += items_per_poll) {
      poll();
      kernels_.gather(slots_.group_begin.data(), slots_.slots.data(), slots_.total_slot.data(), g,
                      std::min(g + items_per_poll, slots_.n_groups()), terms, total_terms, log_weights + from,
                      shares_.data() + from, stride_);
    }
  }
}

void MixtureObjective::expect(MixturePoint& point, TimedPoll& poll) {
  log_joint(point, poll);
  mixture_kernels().responsibilities(shares_.data(), slots_.n_groups(), stride_, log_sums_.data());
  double value = 0.0;
  for (std::size_t g = 0; g < slots_.n_groups(); ++g) {
    value += slots_.weights[g] * log_sums_[g];
    if (slots_.weights[g] != 1.0) {
      for (std::size_t c = 0; c < stride_; ++c) shares_[g * stride_ + c] *= slots_.weights[g];
    }
  }
  point.value = value + log_prior(point);
}

void MixtureObjective::derive(MixturePoint& point, TimedPoll& poll) {
  const std::size_t n_slots = slots_.n_slots(), n_totals = slots_.total_values.size();
  const std::size_t n_categories = slots_.n_categories;
  concentrations(point);
  std::fill(sums_.begin(), sums_.end(), 0.0);
  std::fill(total_sums_.begin(), total_sums_.end(), 0.0);
  std::fill(point.size.begin(), point.size.end(), 0.0);
  for (std::size_t g = 0; g < slots_.n_groups(); ++g) {
    for (std::size_t c = 0; c < stride_; ++c) point.size[c] += shares_[g * stride_ + c];
  }
  std::vector<double> slope(lanes_);
  for (std::size_t from = 0; from < stride_; from += lanes_) {
    double* const sums = sums_.data() + from * n_slots;
    double* const total_sums = total_sums_.data() + from * n_totals;
    for (std::size_t g = 0; g < slots_.n_groups(); g += items_per_poll) {
      poll();
      kernels_.scatter(slots_.group_begin.data(), slots_.slots.data(), slots_.total_slot.data(), g,
                       std::min(g + items_per_poll, slots_.n_groups()), shares_.data() + from, stride_, sums,
                       total_sums);
    }
    kernels_.differences(total_.data() + from, slots_.total_values.data(), n_totals, total_sums, first_.data(),
                         second_.data());
    for (std::size_t l = 0; l < lanes_; ++l) {
      const double total = total_[from + l], log_total = std::log(total);
      const double density_slope = prior_.alpha.log_density_slope(log_total) - sum_beta_;
      slope[l] = density_slope / total - first_[l];
      point.rank_one[from + l] =
          (prior_.alpha.log_density_curvature(log_total) - density_slope) / (total * total) + second_[l];
    }
    for (std::size_t k = 0; k < n_categories; ++k) {
      if (k % lane_count == 0) poll();
      const std::size_t begin = slots_.category_begin[k], at = k * stride_ + from;
      kernels_.differences(a_.data() + at, slots_.values.data() + begin, slots_.category_begin[k + 1] - begin,
                           sums + begin * lanes_, first_.data(), second_.data());
      for (std::size_t l = 0; l < lanes_; ++l) {
        const double a = a_[at + l];
        const double gain = a * (first_[l] + slope[l]);
        point.gradient[at + l] = gain + prior_.beta[k];
        point.diagonal[at + l] = a * a * second_[l] - gain;
      }
    }
  }
  const std::size_t weights = n_categories * stride_;
  const double added = prior_.weights - 1.0;
  const double all = slots_.sum_of_weights + static_cast<double>(n_components_) * added;
  for (std::size_t c = 0; c < n_components_; ++c) {
    point.gradient[weights + c] = point.size[c] + added - all * std::exp(point.parameters[weights + c]);
  }
  for (std::size_t c = n_components_; c < stride_; ++c) {
    for (std::size_t k = 0; k <= n_categories; ++k) point.gradient[k * stride_ + c] = 0.0;
  }
}

void MixtureObjective::precondition(const MixturePoint& point, const double* gradient, double* out) const {
  const std::size_t n_categories = slots_.n_categories;
  std::vector<double> inner(stride_, 0.0), outer(stride_, 0.0), a(stride_);
  const auto load = [&](std::size_t k, std::size_t c) {
    a[c] = std::exp(point.parameters[k * stride_ + c]);
    return std::max(point.diagonal[k * stride_ + c], 0.5 * prior_.beta[k]);
  };
  for (std::size_t k = 0; k < n_categories; ++k) {
    for (std::size_t c = 0; c < n_components_; ++c) {
      const double diagonal = load(k, c), scaled = gradient[k * stride_ + c] / diagonal;
      out[k * stride_ + c] = scaled;
      inner[c] += a[c] * scaled;
      outer[c] += a[c] * a[c] / diagonal;
    }
  }
  for (std::size_t c = 0; c < n_components_; ++c) {
    const double reserve = 1.0 - point.rank_one[c] * outer[c];
    inner[c] = reserve > least_reserve ? point.rank_one[c] * inner[c] / reserve : 0.0;
  }
  for (std::size_t k = 0; k < n_categories; ++k) {
    for (std::size_t c = 0; c < n_components_; ++c) {
      const double diagonal = load(k, c);
      out[k * stride_ + c] += inner[c] * a[c] / diagonal;
    }
    for (std::size_t c = n_components_; c < stride_; ++c) out[k * stride_ + c] = 0.0;
  }
  const std::size_t weights = n_categories * stride_;
  for (std::size_t c = 0; c < stride_; ++c) {
    const double size = std::max(point.size[c] + prior_.weights - 1.0, 1e-300);
    const double expected = slots_.sum_of_weights * std::exp(point.parameters[weights + c]);
    out[weights + c] = c < n_components_ ? gradient[weights + c] / std::max(size, expected) : 0.0;
  }
}

}  // namespace hbm_fast
