#include "mixture/maximize.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include "math/sum.hpp"

namespace hbm_fast {
namespace {

constexpr std::size_t memory = 12;         // pairs of steps and changes of the gradient
constexpr double longest_step = 3.0;       // in log concentration and log weight
constexpr double sufficient_share = 1e-4;  // of the gain that the slope predicts (Armijo)
constexpr int most_halvings = 30;
constexpr int newton_steps = 6;
constexpr double rounding = 1e-15;  // of the value, relative

struct Pair {
  std::vector<double> step, change;
  double inverse;  // of their inner product
};

double largest(const std::vector<double>& a) {
  double result = 0.0;
  for (const double x : a) result = std::max(result, std::abs(x));
  return result;
}

// The direction of ascent: Nocedal's recursion around the preconditioner.
void direction_of(const MixtureObjective& objective, const MixturePoint& point, const std::deque<Pair>& pairs,
                  std::vector<double>& direction) {
  std::vector<double> q = point.gradient, share(pairs.size());
  for (std::size_t i = pairs.size(); i-- > 0;) {
    share[i] = pairs[i].inverse * dot(pairs[i].step, q);
    for (std::size_t j = 0; j < q.size(); ++j) q[j] -= share[i] * pairs[i].change[j];
  }
  objective.precondition(point, q.data(), direction.data());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const double other = share[i] - pairs[i].inverse * dot(pairs[i].change, direction);
    for (std::size_t j = 0; j < q.size(); ++j) direction[j] += other * pairs[i].step[j];
  }
}

}  // namespace

MixtureStop maximize(MixtureObjective& objective, MixturePoint& point, double tolerance, std::size_t max_iterations,
                     TimedPoll& poll) {
  MixtureStop stop;
  std::deque<Pair> pairs;
  std::vector<double> direction(point.parameters.size());
  objective.expect(point, poll);
  objective.derive(point, poll);
  MixturePoint next = point;
  for (; stop.n_iterations < max_iterations; ++stop.n_iterations) {
    objective.precondition(point, point.gradient.data(), direction.data());
    const double plain_gain = dot(direction, point.gradient);
    double gain = plain_gain;
    if (!pairs.empty()) {
      direction_of(objective, point, pairs, direction);
      gain = dot(direction, point.gradient);
      if (!(gain > 0.0)) {
        pairs.clear();
        objective.precondition(point, point.gradient.data(), direction.data());
        gain = plain_gain;
      }
    }
    if (std::max(gain, plain_gain) < tolerance) {
      stop.converged = true;
      break;
    }
    double step = std::min(1.0, longest_step / largest(direction));
    bool found = false;
    for (int i = 0; i < most_halvings && !found; ++i, step *= 0.5) {
      for (std::size_t j = 0; j < direction.size(); ++j) {
        next.parameters[j] = point.parameters[j] + step * direction[j];
      }
      objective.expect(next, poll);
      found = next.value >= point.value + sufficient_share * step * gain - rounding * std::abs(point.value);
    }
    if (!found) {
      if (pairs.empty()) break;
      pairs.clear();
      continue;
    }
    objective.derive(next, poll);
    Pair pair{std::vector<double>(direction.size()), std::vector<double>(direction.size()), 0.0};
    for (std::size_t j = 0; j < direction.size(); ++j) {
      pair.step[j] = 2.0 * step * direction[j];  // the loop has halved the step that was taken
      pair.change[j] = point.gradient[j] - next.gradient[j];
    }
    const double curvature = dot(pair.step, pair.change);
    if (curvature > 1e-8 * 2.0 * step * gain) {
      pair.inverse = 1.0 / curvature;
      if (pairs.size() == memory) pairs.pop_front();
      pairs.push_back(std::move(pair));
    }
    std::swap(point, next);
  }
  return stop;
}

void start_from_labels(MixtureObjective& objective, const std::int32_t* labels, double total, MixturePoint& point,
                       TimedPoll& poll) {
  const CountSlots& slots = objective.slots();
  const std::size_t stride = objective.stride(), n_categories = slots.n_categories, n = objective.n_components();
  std::vector<double> sums(n_categories * stride, 1.0), groups(stride, 1.0), all(stride, 0.0);
  double* const shares = objective.responsibilities();
  std::fill(shares, shares + slots.n_groups() * stride, 0.0);
  for (std::size_t g = 0; g < slots.n_groups(); ++g) {
    if (labels[g] < 0) continue;
    const auto c = static_cast<std::size_t>(labels[g]);
    shares[g * stride + c] = slots.weights[g];
    groups[c] += slots.weights[g];
    for (std::size_t i = slots.group_begin[g]; i < slots.group_begin[g + 1]; ++i) {
      const std::uint32_t s = slots.slots[i];
      sums[slots.slot_category[s] * stride + c] +=
          slots.weights[g] * slots.values[s] / slots.total_values[slots.total_slot[g]] * 100.0;
    }
  }
  for (std::size_t k = 0; k < n_categories; ++k) {
    for (std::size_t c = 0; c < n; ++c) all[c] += sums[k * stride + c];
  }
  for (std::size_t c = 0; c < n; ++c) {
    for (std::size_t k = 0; k < n_categories; ++k) {
      point.parameters[k * stride + c] = std::log(total * sums[k * stride + c] / all[c]);
    }
    point.parameters[n_categories * stride + c] = std::log(groups[c]);
  }
  std::vector<double> step(point.parameters.size());
  for (int i = 0; i < newton_steps; ++i) {
    objective.derive(point, poll);
    objective.precondition(point, point.gradient.data(), step.data());
    for (std::size_t k = 0; k < n_categories; ++k) {
      for (std::size_t c = 0; c < n; ++c) {
        point.parameters[k * stride + c] += std::clamp(step[k * stride + c], -1.0, 1.0);
      }
    }
  }
}

}  // namespace hbm_fast
