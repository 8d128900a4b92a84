// The two layouts of SimulationWorker.
#pragma once

#include "simulate_worker.hpp"

namespace hbm_fast {
namespace {

namespace plain {
#include "elementary.inl"
}

template <class T>
void SimulationWorker<T>::concentrations(double log_alpha, const double* log_beta, std::size_t k_n, double* out) {
  for (std::size_t k = 0; k < k_n; ++k) {
    const double log_a = std::min(log_alpha + log_beta[k], 700.0);
    const double a = std::max(plain::exp_of(log_a), smallest_concentration);
    out[k] = log_beta[k] == -std::numeric_limits<double>::infinity() ? 0.0 : a;  // an impossible category
  }
}

// --- a lane is a group ------------------------------------------------------------------------------------------

template <class T>
void SimulationWorker<T>::groups_as_lanes(std::size_t at) {
  const std::size_t n = std::min(lane_count, groups_.size() - at);
  for (std::size_t i = 0; i < lane_count; ++i) {  // idle lanes repeat the last group, and are not stored
    const double* a = concentration_.data() + groups_[at + std::min(i, n - 1)].dataset * k_n_;
    for (std::size_t k = 0; k < k_n_; ++k) shape_[k * lane_count + i] = a[k];
  }
  const bool wants_counts = arrays_.counts || arrays_.statistics;
  const bool wants_theta = arrays_.theta || arrays_.log_theta;
  const std::int64_t limit = urn_limit(k_n_);
  // sorted by total: the first lanes have urns
  std::size_t n_urns = 0;
  while (n_urns < n && groups_[at + n_urns].total <= limit) ++n_urns;
  if (n_urns > 0) k_n_ == 2 ? two_colours(at, n_urns) : urns(at, n_urns);
  if (wants_theta || (wants_counts && n_urns < n)) theta_of_lanes(at, n);
  if (!wants_counts) return;
  if (n_urns < n) searches(at, n_urns, n);
  for (std::size_t i = 0; i < n; ++i) {
    const Group& group = groups_[at + i];
    if (group.total <= std::max(limit, search_limit)) {
      deliver(group, drawn_.data() + i, lane_count);
      continue;
    }
    double theta[many_categories];
    double scratch[2];
    std::int64_t counts[many_categories];
    for (std::size_t k = 0; k < k_n_; ++k) theta[k] = theta_[k * lane_count + i];
    Stream stream(group_bases_[group.dataset].group(group.group));
    multinomial(stream, group.total, theta, k_n_, scratch, counts);
    deliver(group, counts, 1);
  }
}

// Counts of the first n lanes, by splitting off one category after the other; adds them to the shapes.
template <class T>
void SimulationWorker<T>::urns(std::size_t at, std::size_t n) {
  alignas(64) double left[lane_count];
  alignas(64) std::uint64_t a[lane_count];
  alignas(64) std::uint64_t b[lane_count];
  LaneStates lanes;
  for (std::size_t i = 0; i < lane_count; ++i) left[i] = i < n ? static_cast<double>(groups_[at + i].total) : 0.0;
  for (std::size_t i = 0; i < lane_count; ++i) behind_[(k_n_ - 1) * lane_count + i] = 0.0;
  for (std::size_t k = k_n_ - 1; k > 0; --k) {
    double* out = behind_.data() + (k - 1) * lane_count;
    for (std::size_t i = 0; i < lane_count; ++i) out[i] = out[i + lane_count] + shape_[k * lane_count + i];
  }
  addresses(group_bases_, at, n, a, b);
  for (std::size_t k = 0; k + 1 < k_n_; ++k) {
    // How far the lock-step runs depends on the neighbours: each category starts from an address of its own.
    if (k > 0) {
      for (std::size_t i = 0; i < lane_count; ++i) a[i] += 0xA0761D6478BD642Fu;
    }
    kernels_.seed(a, b, &lanes);
    double largest = 0.0;
    for (std::size_t i = 0; i < lane_count; ++i) largest = std::max(largest, left[i]);
    double* shape = shape_.data() + k * lane_count;
    double* taken = drawn_.data() + k * lane_count;
    kernels_.urn(&lanes, shape, behind_.data() + k * lane_count, left, static_cast<std::size_t>(largest), taken);
    for (std::size_t i = 0; i < lane_count; ++i) {
      shape[i] += taken[i];
      left[i] -= taken[i];
    }
  }
  double* shape = shape_.data() + (k_n_ - 1) * lane_count;
  double* taken = drawn_.data() + (k_n_ - 1) * lane_count;
  for (std::size_t i = 0; i < lane_count; ++i) {
    taken[i] = left[i];
    shape[i] += left[i];
  }
}

// The same for two categories, run by run of equal totals.
template <class T>
void SimulationWorker<T>::two_colours(std::size_t at, std::size_t n) {
  constexpr std::size_t step = 16;
  alignas(64) std::uint64_t a[lane_count];
  alignas(64) std::uint64_t b[lane_count];
  std::uint64_t words[lane_count + step];
  double yes[lane_count + step];
  double no[lane_count + step];
  double taken[lane_count + step];
  addresses(group_bases_, at, n, a, b);
  kernels_.words(a, b, words);
  std::copy_n(shape_.data(), lane_count, yes);
  std::copy_n(shape_.data() + lane_count, lane_count, no);
  for (std::size_t i = lane_count; i < lane_count + step; ++i) {  // a run may end in padding
    words[i] = 0;
    yes[i] = no[i] = 1.0;
  }
  for (std::size_t from = 0, to = 0; from < n; from = to) {
    const std::int64_t total = groups_[at + from].total;
    while (to < n && groups_[at + to].total == total) ++to;
    const std::size_t lanes = (to - from + step - 1) / step * step;
    kernels_.polya(words + from, yes + from, no + from, static_cast<std::size_t>(total), lanes, taken + from);
    for (std::size_t i = from; i < to; ++i) {
      drawn_[i] = taken[i];
      drawn_[lane_count + i] = static_cast<double>(total) - taken[i];
    }
  }
  for (std::size_t k = 0; k < 2; ++k) {
    for (std::size_t i = 0; i < n; ++i) shape_[k * lane_count + i] += drawn_[k * lane_count + i];
  }
}

// Counts of the lanes begin..end from theta, one category after the other.
template <class T>
void SimulationWorker<T>::searches(std::size_t at, std::size_t begin, std::size_t end) {
  alignas(64) double left[lane_count];
  alignas(64) double taken[lane_count];
  alignas(64) std::uint64_t a[lane_count];
  alignas(64) std::uint64_t b[lane_count];
  for (std::size_t i = 0; i < lane_count; ++i) {
    const bool searched = i >= begin && i < end && groups_[at + i].total <= search_limit;
    left[i] = searched ? static_cast<double>(groups_[at + i].total) : 0.0;
  }
  for (std::size_t i = 0; i < lane_count; ++i) behind_[(k_n_ - 1) * lane_count + i] = 0.0;
  for (std::size_t k = k_n_ - 1; k > 0; --k) {
    double* out = behind_.data() + (k - 1) * lane_count;
    for (std::size_t i = 0; i < lane_count; ++i) out[i] = out[i + lane_count] + theta_[k * lane_count + i];
  }
  addresses(group_bases_, at, end, a, b);
  LaneStates lanes;
  kernels_.seed(a, b, &lanes);
  for (std::size_t k = 0; k < k_n_; ++k) {  // the last category has all that is left
    const double* theta = theta_.data() + k * lane_count;
    kernels_.binomials(&lanes, left, theta, behind_.data() + k * lane_count, taken);
    for (std::size_t i = begin; i < end; ++i) {
      drawn_[k * lane_count + i] = taken[i];
      left[i] -= taken[i];
    }
  }
}

template <class T>
void SimulationWorker<T>::theta_of_lanes(std::size_t at, std::size_t n) {
  alignas(64) std::uint64_t a[lane_count];
  alignas(64) std::uint64_t b[lane_count];
  addresses(theta_bases_, at, n, a, b);
  LaneStates lanes;
  kernels_.seed(a, b, &lanes);
  GammaShape first;
  GammaShape second;
  for (std::size_t k = 0; k < k_n_; k += 2) {  // with an odd K the last one's partner is drawn and dropped
    kernels_.prepare(shape_.data() + k * lane_count, &first);
    kernels_.prepare(shape_.data() + std::min(k + 1, k_n_ - 1) * lane_count, &second);
    double* out = log_gamma_.data() + k * lane_count;
    kernels_.gamma_pair(&lanes, &first, &second, out, out + lane_count);
  }
  kernels_.normalise_lanes(log_gamma_.data(), k_n_, theta_.data());
  const auto store = [&](const std::vector<double>& from, double* to) {
    if (to == nullptr) return;
    for (std::size_t i = 0; i < n; ++i) {
      double* out = to + row(groups_[at + i].dataset, groups_[at + i].group);
      const double* lane = from.data() + i;
      for (std::size_t k = 0; k < k_n_; ++k) out[k] = lane[k * lane_count];
    }
  };
  store(log_gamma_, arrays_.log_theta);
  store(theta_, arrays_.theta);
}

// --- a lane is a category of one group ----------------------------------------------------------------------------

template <class T>
void SimulationWorker<T>::categories_as_lanes(std::size_t d, const Group* groups) {
  const bool wants_counts = arrays_.counts || arrays_.statistics;
  if (!wants_counts && !arrays_.theta && !arrays_.log_theta) return;
  const double* concentration = concentration_.data() + d * k_n_;
  const std::size_t n_pairs = (k_n_ + 2 * lane_count - 1) / (2 * lane_count);
  const std::size_t padded = 2 * n_pairs * lane_count;
  shape_.assign(padded, tiny_shape / 2);
  std::copy(concentration, concentration + k_n_, shape_.begin());
  behind_.resize(padded);  // here: the inverses of the shapes
  for (std::size_t k = 0; k < padded; ++k) behind_[k] = 1.0 / shape_[k];
  log_gamma_.resize(padded);
  theta_.resize(padded);
  std::vector<GammaShape> prepared(2 * n_pairs);
  std::vector<bool> tiny(n_pairs);
  for (std::size_t pair = 0; pair < n_pairs; ++pair) {
    const double* from = shape_.data() + 2 * pair * lane_count;
    tiny[pair] = *std::max_element(from, from + 2 * lane_count) < tiny_shape;
    for (std::size_t j = 0; j < 2; ++j) kernels_.prepare(from + j * lane_count, &prepared[2 * pair + j]);
  }
  const Address theta_base = Address::of(request_.key, Site::theta, number(d));
  const Address group_base = Address::of(request_.key, Site::group, number(d));
  std::vector<double> scratch(2 * k_n_);
  std::vector<std::int64_t> counts(k_n_);
  const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(k_n_);
  alignas(64) std::uint64_t a[lane_count];
  alignas(64) std::uint64_t b[lane_count];
  LaneStates lanes;
  for (std::size_t g = 0; g < n_groups(d); ++g) {
    const Address inside = theta_base.group(g).inside();
    for (std::size_t i = 0; i < lane_count; ++i) {
      a[i] = inside.group(i).a;
      b[i] = inside.group(i).b;
    }
    kernels_.seed(a, b, &lanes);
    for (std::size_t pair = 0; pair < n_pairs; ++pair) {
      const std::size_t at = 2 * pair * lane_count;
      double* out = log_gamma_.data() + at;
      if (tiny[pair]) {
        kernels_.gamma_tiny(&lanes, shape_.data() + at, behind_.data() + at, out);
        if (at + lane_count < k_n_) {
          kernels_.gamma_tiny(&lanes, shape_.data() + at + lane_count, behind_.data() + at + lane_count, out + lane_count);
        }
      } else {
        kernels_.gamma_pair(&lanes, &prepared[2 * pair], &prepared[2 * pair + 1], out, out + lane_count);
      }
    }
    std::fill(log_gamma_.begin() + size, log_gamma_.end(), -std::numeric_limits<double>::infinity());
    kernels_.normalise_row(log_gamma_.data(), 2 * n_pairs, theta_.data());
    const std::size_t to = row(d, g);
    if (arrays_.log_theta) std::copy(log_gamma_.begin(), log_gamma_.begin() + size, arrays_.log_theta + to);
    if (arrays_.theta) std::copy(theta_.begin(), theta_.begin() + size, arrays_.theta + to);
    if (!wants_counts) continue;
    Stream stream(group_base.group(g));
    multinomial(stream, groups[g].total, theta_.data(), k_n_, scratch.data(), counts.data());
    deliver(groups[g], counts.data(), 1);
  }
}

}  // namespace
}  // namespace hbm_fast
