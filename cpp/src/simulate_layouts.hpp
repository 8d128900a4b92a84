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
    const double log_a = std::min(log_alpha + log_beta[k], largest_log_concentration);
    const double a = std::max(plain::exp_of(log_a), smallest_concentration);
    out[k] = log_beta[k] == -std::numeric_limits<double>::infinity() ? 0.0 : a;  // an impossible category
  }
}

template <class T>
void SimulationWorker<T>::unit_hyperparameters(std::size_t begin) {
  const std::size_t size = std::min(lane_count, n_datasets_ - begin);
  alignas(64) std::uint64_t a[lane_count];
  alignas(64) std::uint64_t b[lane_count];
  alignas(64) double log_alpha[lane_count];
  for (std::size_t i = 0; i < lane_count; ++i) {  // idle lanes repeat the first dataset
    const Address address = Address::of(request_.key, Site::hyperparameters, number(begin + (i < size ? i : 0)));
    a[i] = address.a;
    b[i] = address.b;
  }
  for (auto* table : {&log_gamma_, &theta_}) table->resize((k_n_ + 1) * lane_count);
  LaneStates lanes;
  kernels_.seed(a, b, &lanes);
  kernels_.log_exponentials(&lanes, 1, log_alpha);
  kernels_.log_exponentials(&lanes, k_n_, log_gamma_.data());
  kernels_.normalise_lanes(log_gamma_.data(), k_n_, theta_.data());
  const double log_rate = plain::log_of(request_.alpha.a);
  for (std::size_t i = 0; i < lane_count; ++i) log_alpha[i] -= log_rate;
  std::copy_n(log_alpha, size, arrays_.log_alpha + begin_ + begin);
  for (std::size_t k = 0; k < k_n_; ++k) {
    const double* const log_beta = log_gamma_.data() + k * lane_count;
    kernels_.concentrations(log_alpha, log_beta, theta_.data());
    for (std::size_t i = 0; i < size; ++i) {
      arrays_.log_beta[(begin_ + begin + i) * k_n_ + k] = log_beta[i];
      concentration_[(begin + i) * k_n_ + k] = theta_[i];
    }
  }
}

// --- a lane is a group ------------------------------------------------------------------------------------------

template <class T>
void SimulationWorker<T>::groups_as_lanes(std::size_t at, std::size_t end_of_urns) {
  const std::size_t n = std::min(lane_count, groups_.size() - at);
  const bool wants_counts = arrays_.counts || arrays_.statistics;
  const bool wants_theta = arrays_.theta || arrays_.log_theta;
  const std::size_t n_urns = std::clamp(end_of_urns, at, at + n) - at;
  for (std::size_t i = 0; i < lane_count; ++i) {  // idle lanes repeat the last group, and are not stored
    const Group& group = groups_[at + std::min(i, n - 1)];
    const double* a = concentration_.data() + group.dataset * k_n_;
    if (k_n_ == 2) {
      const std::int32_t first = i < n_urns ? first_[at + i] : 0;
      const std::int32_t second = i < n_urns ? group.total - first : 0;
      shape_[i] = a[0] + first;
      shape_[lane_count + i] = a[1] + second;
    } else {
      for (std::size_t k = 0; k < k_n_; ++k) shape_[k * lane_count + i] = a[k];
    }
  }
  if (n_urns > 0 && k_n_ != 2) urns(at, n_urns);
  if (wants_theta || (wants_counts && n_urns < n)) theta_of_lanes(at, n);
  if (!wants_counts) return;
  if (n_urns < n) searches(at, n_urns, n);
  for (std::size_t i = k_n_ == 2 ? n_urns : 0; i < n; ++i) {
    const Group& group = groups_[at + i];
    if (i < n_urns || group.total <= search_limit) {
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

// Two categories: the first count of every group with an urn, by inversion. Groups of one dataset and one total, which
// are neighbours, share a table.
template <class T>
void SimulationWorker<T>::two_colours(std::size_t n_urns) {
  alignas(64) double yes[lane_count];
  alignas(64) double no[lane_count];
  for (std::size_t from = 0, to = 0; from < n_urns; from = to) {
    const std::int32_t total = groups_[from].total;
    std::size_t n_tables = 0;
    for (std::uint32_t last = ~groups_[from].dataset; to < n_urns && groups_[to].total == total; ++to) {
      const std::uint32_t d = groups_[to].dataset;
      if (d == last) continue;
      if (n_tables == lane_count) break;
      yes[n_tables] = concentration_[2 * d];
      no[n_tables++] = concentration_[2 * d + 1];
      last = d;
    }
    for (std::size_t i = n_tables; i % polya_lanes != 0; ++i) yes[i] = no[i] = 1.0;
    const auto size = static_cast<std::size_t>(total);
    const std::size_t rows = std::bit_ceil(size + 1);
    if (tables_.size() < rows * lane_count) tables_.resize(rows * lane_count);
    kernels_.polya(yes, no, size, rows, (n_tables + polya_lanes - 1) / polya_lanes * polya_lanes, tables_.data());
    const double* column = tables_.data();
    std::size_t lane = 0;
    std::uint32_t last = groups_[from].dataset;
    for (std::size_t g = from; g < to; ++g) {
      if (groups_[g].dataset != last) {
        last = groups_[g].dataset;
        ++lane;
        column = tables_.data() + lane / polya_lanes * rows * polya_lanes + lane % polya_lanes;
      }
      const double target = column[size * polya_lanes] * plain::to_uniform(words_[groups_[g].listed]);
      const double* below = column;  // past the sums that lie below the target
      for (std::size_t half = rows * polya_lanes / 2; half >= polya_lanes; half /= 2) {
        // Doubles that are not negative compare as their bits do; a branch here would be taken at random.
        const std::uint64_t low = (plain::bits_of(*(below + half - polya_lanes)) - plain::bits_of(target)) >> 63;
        below += half & (0 - low);
      }
      first_[g] = static_cast<std::int32_t>((below - column) / static_cast<std::ptrdiff_t>(polya_lanes));
    }
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
  const std::size_t begin = row(groups_[at].dataset, groups_[at].group);
  bool together = k_n_ == 2;  // neighbours in memory, in this order: the sort by total may have mixed them
  for (std::size_t i = 1; i < n; ++i) together &= row(groups_[at + i].dataset, groups_[at + i].group) == begin + 2 * i;
  const auto store = [&](const std::vector<double>& from, double* to) {
    if (to == nullptr) return;
    if (together) {
      double* out = to + begin;
      for (std::size_t i = 0; i < n; ++i) {
        out[2 * i] = from[i];
        out[2 * i + 1] = from[lane_count + i];
      }
      return;
    }
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
