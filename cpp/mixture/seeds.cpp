#include "mixture/seeds.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/limits.hpp"

namespace hbm_fast {
namespace {

class HellingerRows {
 public:
  explicit HellingerRows(const CountSlots& slots) : slots_(slots), roots_(slots.slots.size()) {
    for (std::size_t g = 0; g < slots.n_groups(); ++g) {
      const double total = slots.total_values[slots.total_slot[g]];
      for (std::size_t i = slots.group_begin[g]; i < slots.group_begin[g + 1]; ++i) {
        roots_[i] = std::sqrt(slots.values[slots.slots[i]] / total);
      }
    }
  }

  // f(category, root) for each category of a group.
  template <class F>
  void each(std::size_t g, F&& f) const {
    for (std::size_t i = slots_.group_begin[g]; i < slots_.group_begin[g + 1]; ++i) {
      f(slots_.slot_category[slots_.slots[i]], roots_[i]);
    }
  }

 private:
  const CountSlots& slots_;
  std::vector<double> roots_;
};

// The index at which the running sum of `mass` passes a share of all of it.
std::size_t drawn(const std::vector<double>& mass, double uniform) {
  double all = 0.0;
  for (const double m : mass) all += m;
  double left = uniform * all;
  std::size_t last = 0;
  for (std::size_t g = 0; g < mass.size(); ++g) {
    if (mass[g] <= 0.0) continue;
    last = g;
    left -= mass[g];
    if (left < 0.0) break;
  }
  return last;
}

}  // namespace

void hellinger_labels(const CountSlots& slots, std::size_t n_components, const double* uniforms,
                      std::size_t n_candidates, std::size_t n_iterations, std::int32_t* labels, TimedPoll& poll) {
  const HellingerRows rows(slots);
  const std::size_t n_groups = slots.n_groups(), n_categories = slots.n_categories;
  std::vector<double> centres(n_categories * n_components, 0.0), mass(slots.weights), centre(n_categories, 0.0);
  std::vector<double> distance(n_groups, 2.0), shortened(n_groups), shortest(n_groups);
  for (std::size_t c = 0; c < n_components; ++c) {
    std::size_t seed = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t t = 0; t < (c == 0 ? 1 : n_candidates); ++t) {
      const double uniform = uniforms[c] + static_cast<double>(t) / static_cast<double>(n_candidates);
      const std::size_t candidate = drawn(mass, uniform - std::floor(uniform));
      double sum = 0.0;
      rows.each(candidate, [&](std::size_t k, double root) { centre[k] = root; });
      for (std::size_t g = 0; g < n_groups; ++g) {
        if (g % items_per_poll == 0) poll();
        double alike = 0.0;
        rows.each(g, [&](std::size_t k, double root) { alike += root * centre[k]; });
        shortened[g] = std::min(distance[g], std::max(0.0, 2.0 - 2.0 * alike));
        if (shortened[g] < 1e-12) shortened[g] = 0.0;
        sum += slots.weights[g] * shortened[g];
      }
      rows.each(candidate, [&](std::size_t k, double) { centre[k] = 0.0; });
      if (sum < least) {
        least = sum;
        seed = candidate;
        std::swap(shortest, shortened);
      }
    }
    rows.each(seed, [&](std::size_t k, double root) { centres[k * n_components + c] = root; });
    std::swap(distance, shortest);
    for (std::size_t g = 0; g < n_groups; ++g) mass[g] = slots.weights[g] * distance[g];
  }
  std::vector<double> alike(n_components), sums, squares(n_components);
  for (std::size_t iteration = 0; iteration <= n_iterations; ++iteration) {
    bool changed = iteration == 0;
    for (std::size_t g = 0; g < n_groups; ++g) {
      if (g % items_per_poll == 0) poll();
      std::fill(alike.begin(), alike.end(), 0.0);
      rows.each(g, [&](std::size_t k, double root) {
        const double* const at = centres.data() + k * n_components;
        for (std::size_t c = 0; c < n_components; ++c) alike[c] += root * at[c];
      });
      const auto nearest = static_cast<std::int32_t>(std::max_element(alike.begin(), alike.end()) - alike.begin());
      changed = changed || nearest != labels[g];
      labels[g] = nearest;
    }
    if (!changed || iteration == n_iterations) break;
    sums.assign(centres.size(), 0.0);
    for (std::size_t g = 0; g < n_groups; ++g) {
      const auto c = static_cast<std::size_t>(labels[g]);
      rows.each(g, [&](std::size_t k, double root) { sums[k * n_components + c] += slots.weights[g] * root; });
    }
    std::fill(squares.begin(), squares.end(), 0.0);
    for (std::size_t i = 0; i < sums.size(); ++i) squares[i % n_components] += sums[i] * sums[i];
    for (std::size_t i = 0; i < sums.size(); ++i) {  // a component without a group keeps its centre
      const double square = squares[i % n_components];
      if (square > 0.0) centres[i] = sums[i] / std::sqrt(square);
    }
  }
}

}  // namespace hbm_fast
