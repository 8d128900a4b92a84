#include <algorithm>
#include <cmath>
#include <mutex>
#include <stdexcept>

#include "core/limits.hpp"
#include "math/special.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace hbm_fast {
namespace {

constexpr std::uint64_t largest_small = 65536;               // 512 KiB of weights a category; larger counts go to a map
constexpr std::size_t longest_table = std::size_t{1} << 27;  // 1 GiB
// Measured: a distinct count with its weight costs as much as six exceedances, four exceedances with one logarithm as
// much as one and a half.
constexpr double entries_per_pair = 6.0;
constexpr double entries_per_four = 1.5;

}  // namespace

void CountColumn::add(std::uint64_t value, double weight) {
  if (value == 0 || weight == 0.0) return;
  if (value > largest_small) {
    large_[value] += weight;
    return;
  }
  if (small_.size() < value)
    small_.resize(std::max<std::size_t>(value, std::min<std::size_t>(2 * small_.size(), largest_small)), 0.0);
  small_[value - 1] += weight;
}

void CountColumn::add(const CountColumn& other, TimedPoll& poll) {
  if (small_.size() < other.small_.size()) small_.resize(other.small_.size(), 0.0);
  for (std::size_t v = 0; v < other.small_.size(); ++v) small_[v] += other.small_[v];
  std::size_t n = 0;
  auto place = large_.begin();  // both are in order
  for (const auto& [value, weight] : other.large_) {
    place = large_.try_emplace(place, value, 0.0);
    place->second += weight;
    ++place;
    if (++n % items_per_poll == 0) poll();
  }
}

void CountColumn::finish(TimedPoll& poll) {
  values_.clear();
  weights_.clear();
  n_positive_ = sum_ = log_factorials_ = 0.0;
  const auto keep = [&](double value, double weight) {
    values_.push_back(value);
    weights_.push_back(weight);
    n_positive_ += weight;
    sum_ += weight * value;
    log_factorials_ += weight * log_factorial(value);
    if (values_.size() % items_per_poll == 0) poll();
  };
  for (std::size_t v = 0; v < small_.size(); ++v) {
    if (small_[v] > 0.0) keep(static_cast<double>(v + 1), small_[v]);
  }
  for (const auto& [value, weight] : large_) keep(static_cast<double>(value), weight);
  table_.clear();
  has_table_ = values_.empty() || entries_per_pair * static_cast<double>(values_.size()) >= values_.back();
  if (has_table_) exceedances();  // now: the hot path reads it without a lock
  double cost = 0.0;
  double last = 0.0;
  for (const double value : values_) {
    const double fours = std::floor((value - last) / 4.0);
    cost += entries_per_four * fours + (value - last - 4.0 * fours);
    last = value;
  }
  terms_ = {};
  if (entries_per_pair * static_cast<double>(values_.size()) >= cost) make_terms();
  subtracts_factorials_ = !evaluates_terms() && !values_.empty() && values_.back() > large_count;
}

void CountColumn::make_terms() {
  const auto single = [&](double level, double weight) {
    const bool is_first = terms_.firsts.size() == terms_.seconds.size();
    (is_first ? terms_.firsts : terms_.seconds).push_back(level);
    (is_first ? terms_.first_weights : terms_.second_weights).push_back(weight);
  };
  std::vector<double> above(weights_);
  for (std::size_t i = above.size(); i-- > 1;) above[i - 1] += above[i];
  double level = 0.0;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    for (; level + 4.0 <= values_[i]; level += 4.0) {
      terms_.fours.push_back(level);
      terms_.four_weights.push_back(above[i]);
    }
    for (; level < values_[i]; level += 1.0) single(level, above[i]);
  }
  // not a level twice: the product of two tiny ones vanishes
  if (terms_.firsts.size() > terms_.seconds.size()) single(level, 0.0);
}

std::span<const double> CountColumn::exceedances() const {
  if (has_table_ && !table_.empty()) return table_;  // the hot path
  static std::mutex building;                        // readers on several threads may be the first
  const std::lock_guard<std::mutex> lock(building);
  if (table_.empty() && !values_.empty()) {
    if (values_.back() > static_cast<double>(longest_table)) {
      throw std::length_error("the exceedances of counts this large do not fit; read the values and weights");
    }
    std::vector<double> table(static_cast<std::size_t>(values_.back()));
    double above = 0.0;
    for (std::size_t i = values_.size(); i-- > 0;) {
      above += weights_[i];
      const auto last = static_cast<std::size_t>(values_[i]);
      const auto first = i == 0 ? 0 : static_cast<std::size_t>(values_[i - 1]);
      std::fill(table.begin() + static_cast<std::ptrdiff_t>(first), table.begin() + static_cast<std::ptrdiff_t>(last),
                above);
    }
    table_ = std::move(table);
  }
  return table_;
}

}  // namespace hbm_fast
