#include "mixture/tilted_gammas.hpp"

#include <algorithm>
#include <cmath>

#include "core/limits.hpp"
#include "math/special.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// log a beyond this range has squares and inverses that are not normal numbers.
constexpr double largest_log = 150.0;
constexpr int most_steps = 60;
constexpr double tolerance = 1e-9;  // of gradient' (-Hessian)^-1 gradient

}  // namespace

TiltedGammas::TiltedGammas(const std::vector<double>& mode, const std::vector<double>& diagonal, double bend)
    : mode_(mode), shape_(diagonal), rate_(mode.size()) {
  double sum = 0.0, smallest = 1e300, log_gammas = 0.0;
  for (std::size_t k = 0; k < mode.size(); ++k) {
    rate_[k] = shape_[k] / mode[k];
    smallest = std::min(smallest, rate_[k]);
    sum += mode[k] * mode[k] / shape_[k];
    log_gammas += log_abs_gamma(shape_[k]);
  }
  // standard normal nodes, a third of a standard deviation apart
  constexpr int half = 12;
  const double rest = std::max(1.0 - bend * sum, 0.05);
  const double width = bend > 0.0 ? std::sqrt(bend / rest) : 0.0;
  double all = 0.0;
  for (int i = width > 0.0 ? -half : 0; i <= (width > 0.0 ? half : 0); ++i) {
    const double z = i / 3.0;
    shift_.push_back(std::min(z * width, 0.8 * smallest));
    share_.push_back(std::exp(-0.5 * z * z));
    all += share_.back();
  }
  double cumulative = 0.0;
  for (std::size_t i = 0; i < shift_.size(); ++i) {
    const double p = share_[i] / all;
    double value = std::log(p) - log_gammas;
    for (std::size_t k = 0; k < mode.size(); ++k) value += shape_[k] * std::log(rate_[k] - shift_[i]);
    constant_.push_back(value);
    share_[i] = cumulative += p;
  }
}

void TiltedGammas::draw(Stream& stream, double* y) const {
  const double u = stream.uniform();
  std::size_t i = 0;
  while (i + 1 < shift_.size() && u > share_[i]) ++i;
  for (std::size_t k = 0; k < shape_.size(); ++k) {
    y[k] = log_gamma_variate(stream, shape_[k]) - std::log(rate_[k] - shift_[i]);
  }
}

double TiltedGammas::log_density(const double* y) const {
  double total = 0.0, value = 0.0;
  for (std::size_t k = 0; k < shape_.size(); ++k) {
    const double a = std::exp(y[k]);
    total += a;
    value += shape_[k] * y[k] - rate_[k] * a;
  }
  double largest = -1e300;
  for (std::size_t i = 0; i < shift_.size(); ++i) largest = std::max(largest, constant_[i] + shift_[i] * total);
  double sum = 0.0;
  for (std::size_t i = 0; i < shift_.size(); ++i) sum += std::exp(constant_[i] + shift_[i] * total - largest);
  return value + largest + std::log(sum);
}

TiltedGammasFinder::TiltedGammasFinder(const CountSlots& slots, const ModelView& model)
    : slots_(slots),
      model_(model),
      kernels_(mixture_kernels().four),
      weights_(slots.n_slots() * lanes),
      total_weights_(slots.total_values.size() * lanes),
      y_(slots.n_categories * lanes),
      a_(y_),
      first_(y_),
      second_(y_),
      gradient_(y_),
      diagonal_(y_) {
  for (const double b : model.beta.values) sum_beta_ += b;
}

std::vector<std::optional<TiltedGammas>> TiltedGammasFinder::find(const std::vector<std::int32_t>& labels,
                                                                  std::size_t n_sets) {
  const std::size_t n_categories = slots_.n_categories;
  std::fill(weights_.begin(), weights_.end(), 0.0);
  std::fill(total_weights_.begin(), total_weights_.end(), 0.0);
  std::fill(y_.begin(), y_.end(), 0.0);  // first the sums of the proportions
  double n_groups[lanes] = {};
  for (std::size_t g = 0; g < slots_.n_groups(); ++g) {
    if (labels[g] < 0) continue;
    const auto lane = static_cast<std::size_t>(labels[g]);
    n_groups[lane] += 1.0;
    total_weights_[slots_.total_slot[g] * lanes + lane] += 1.0;
    const double total = slots_.total_values[slots_.total_slot[g]];
    for (std::size_t i = slots_.group_begin[g]; i < slots_.group_begin[g + 1]; ++i) {
      const std::uint32_t slot = slots_.slots[i];
      weights_[slot * lanes + lane] += 1.0;
      y_[slots_.slot_category[slot] * lanes + lane] += slots_.values[slot] / total;
    }
  }
  constexpr double first_alpha = 10.0;
  for (std::size_t k = 0; k < n_categories; ++k) {
    const double b = model_.beta.values[k] / sum_beta_;
    for (std::size_t l = 0; l < lanes; ++l) {
      double& y = y_[k * lanes + l];
      y = std::log(first_alpha * (y + b) / (n_groups[l] + 1.0));
    }
  }
  std::vector<std::optional<TiltedGammas>> result(n_sets);
  bool done[lanes] = {};
  for (std::size_t l = 0; l < lanes; ++l) done[l] = l >= n_sets || n_groups[l] == 0.0;
  std::vector<double> mode(n_categories), diagonal(n_categories);
  for (int step = 0; step < most_steps; ++step) {
    double total[lanes] = {}, total_first[lanes], total_second[lanes];
    for (std::size_t i = 0; i < y_.size(); ++i) {
      a_[i] = std::exp(y_[i]);
      total[i % lanes] += a_[i];
    }
    for (std::size_t k = 0; k < n_categories; ++k) {
      const std::size_t begin = slots_.category_begin[k], n = slots_.category_begin[k + 1] - begin;
      kernels_.differences(a_.data() + k * lanes, slots_.values.data() + begin, n, weights_.data() + begin * lanes,
                           first_.data() + k * lanes, second_.data() + k * lanes);
    }
    kernels_.differences(total, slots_.total_values.data(), slots_.total_values.size(), total_weights_.data(),
                         total_first, total_second);
    bool all_done = true;
    for (std::size_t l = 0; l < lanes; ++l) {
      if (done[l]) continue;
      const double log_total = std::log(total[l]);
      const double slope = model_.alpha.log_density_slope(log_total);
      const double curvature = model_.alpha.log_density_curvature(log_total);
      const double of_total = (slope - sum_beta_) / total[l] - total_first[l];
      const double bend = (curvature - slope + sum_beta_) / (total[l] * total[l]) + total_second[l];
      double along = 0.0, square = 0.0, decrement = 0.0;
      for (std::size_t k = 0; k < n_categories; ++k) {
        const std::size_t i = k * lanes + l;
        const double a = a_[i], b = model_.beta.values[k], slope_k = a * (first_[i] + of_total);
        gradient_[i] = b + slope_k;
        diagonal_[i] = std::max(a * a * second_[i] - slope_k, 0.5 * b);
        along += a * gradient_[i] / diagonal_[i];
        square += a * a / diagonal_[i];
        decrement += gradient_[i] * gradient_[i] / diagonal_[i];
      }
      const double rest = 1.0 - bend * square;
      const double shared = rest > 1e-3 ? bend * along / rest : 0.0;
      decrement += shared * along;
      if (decrement < tolerance) {
        for (std::size_t k = 0; k < n_categories; ++k) {
          mode[k] = a_[k * lanes + l];
          diagonal[k] = mode[k] * mode[k] * second_[k * lanes + l] + model_.beta.values[k];
        }
        result[l].emplace(mode, diagonal, bend);
        done[l] = true;
        continue;
      }
      all_done = false;
      double longest = 0.0;
      for (std::size_t k = 0; k < n_categories; ++k) {
        const std::size_t i = k * lanes + l;
        gradient_[i] = (gradient_[i] + shared * a_[i]) / diagonal_[i];
        longest = std::max(longest, std::abs(gradient_[i]));
      }
      const double length = longest > 2.0 ? 2.0 / longest : 1.0;
      for (std::size_t k = 0; k < n_categories; ++k) {
        double& y = y_[k * lanes + l];
        y = std::clamp(y + length * gradient_[k * lanes + l], -largest_log, largest_log);
      }
    }
    if (all_done) break;
  }
  return result;
}

}  // namespace hbm_fast
