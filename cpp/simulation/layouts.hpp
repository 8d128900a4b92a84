// The two layouts of SimulationWorker: a lane is a group, or a category.
#pragma once

#include "simulation/worker.hpp"

namespace hbm_fast {
namespace {

namespace plain {
#include "math/elementary.inl"
}

template <class T>
void SimulationWorker<T>::log_flat_dirichlet(Stream& stream, double* log_beta) {
  for (auto* table : {&log_gamma_, &theta_}) table->resize(padded(k_n_));
  words_.resize(padded(k_n_));
  for (std::size_t k = 0; k < k_n_; ++k) words_[k] = stream.bits();
  kernels_.log_exponentials(words_.data(), words_.size() / lane_count, log_gamma_.data());
  const double largest = *std::max_element(log_gamma_.begin(), log_gamma_.begin() + k_n_);
  for (std::size_t k = 0; k < k_n_; ++k) log_beta[k] = log_gamma_[k] - largest;
  kernels_.exponentials(log_beta, k_n_, theta_.data());  // log_beta is above -41
  double rest = -1.0;                                    // the largest itself
  for (std::size_t k = 0; k < k_n_; ++k) rest += log_beta[k] == 0.0 ? 1.0 : 0.0;
  for (std::size_t k = 0; k < k_n_; ++k) rest += log_beta[k] == 0.0 ? 0.0 : theta_[k];
  const double log_sum = plain::log1p_of(rest);
  for (std::size_t k = 0; k < k_n_; ++k) log_beta[k] -= log_sum;
}

template <class T>
void SimulationWorker<T>::unit_hyperparameters(std::size_t begin) {
  const std::size_t size = std::min(lane_count, n_datasets_ - begin);
  alignas(64) std::uint64_t a[lane_count];
  alignas(64) std::uint64_t b[lane_count];
  alignas(64) double log_alpha[lane_count];
  alignas(64) double log_alpha_beta[lane_count];
  for (std::size_t i = 0; i < lane_count; ++i) {  // idle lanes repeat the first dataset
    const Address address = Address::of(request_.key, Site::hyperparameters, number(begin + (i < size ? i : 0)));
    a[i] = address.a;
    b[i] = address.b;
  }
  for (auto* table : {&log_gamma_, &theta_}) table->resize((k_n_ + 1) * lane_count);
  words_.resize((k_n_ + 1) * lane_count);
  LaneStates lanes;
  kernels_.seed(a, b, &lanes);
  kernels_.draw(&lanes, k_n_ + 1, words_.data());
  kernels_.log_exponentials(words_.data(), 1, log_alpha);
  kernels_.log_exponentials(words_.data() + lane_count, k_n_, log_gamma_.data());
  kernels_.normalise_lanes(log_gamma_.data(), k_n_, theta_.data());
  const double log_rate = plain::log_of(request_.alpha.a);
  for (std::size_t i = 0; i < lane_count; ++i) log_alpha[i] -= log_rate;
  std::copy_n(log_alpha, size, arrays_.log_alpha + begin_ + begin);
  for (std::size_t k = 0; k < k_n_; ++k) {
    const double* const log_beta = log_gamma_.data() + k * lane_count;
    for (std::size_t i = 0; i < lane_count; ++i) log_alpha_beta[i] = log_alpha[i] + log_beta[i];
    kernels_.concentrations(log_alpha_beta, lane_count, theta_.data());
    for (std::size_t i = 0; i < size; ++i) {
      arrays_.log_beta[(begin_ + begin + i) * k_n_ + k] = log_beta[i];
      concentration_[(begin + i) * k_n_ + k] = theta_[i];
    }
  }
}

// --- a lane is a group ------------------------------------------------------------------------------------------

template <class T>
void SimulationWorker<T>::few_categories() {
  group_bases_ = dataset_addresses(Site::group);
  theta_bases_ = dataset_addresses(Site::theta);
  for (auto* table : {&log_gamma_, &theta_, &shape_, &suffix_sum_, &counts_}) table->resize((k_n_ + 1) * lane_count);
  concentration_.resize(padded(concentration_.size()), 1.0);
  prepared_.resize(concentration_.size() / lane_count);
  for (std::size_t i = 0; i < prepared_.size(); ++i) kernels_.prepare(&concentration_[i * lane_count], &prepared_[i]);
  const std::vector<Group>& groups = sorted_groups();
  const std::size_t n_urns = count_urns(groups);
  for (std::size_t at = 0; at < groups.size(); at += lane_count) {
    if (at % groups_per_look == 0) poll_();
    const std::size_t n = std::min(lane_count, groups.size() - at);
    groups_as_lanes(groups.data() + at, n, std::clamp(n_urns, at, at + n) - at);
  }
}

// The first n_urns of the n <= 64 groups have urns.
template <class T>
void SimulationWorker<T>::groups_as_lanes(const Group* groups, std::size_t n, std::size_t n_urns) {
  const bool wants_counts = arrays_.counts || arrays_.statistics;
  if (n_urns > 0) {
    for (std::size_t i = 0; i < lane_count; ++i) {  // idle lanes repeat the last group, and are not stored
      const double* a = concentration_.data() + groups[std::min(i, n - 1)].dataset * k_n_;
      for (std::size_t k = 0; k < k_n_; ++k) shape_[k * lane_count + i] = a[k];
    }
    urns(groups, n_urns);
  }
  if (arrays_.theta || arrays_.log_theta || (wants_counts && n_urns < n)) {
    alignas(64) std::uint64_t a[lane_count];
    alignas(64) std::uint64_t b[lane_count];
    addresses(theta_bases_, groups, n, a, b);
    if (n_urns > 0) {
      log_gammas(a, b, [&](std::size_t k, GammaShape& to) { kernels_.prepare(&shape_[k * lane_count], &to); });
    } else {
      log_gammas(a, b, [&](std::size_t k, GammaShape& to) { spread(groups, n, k, to); });
    }
    kernels_.normalise_lanes(log_gamma_.data(), k_n_, theta_.data());
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t at = row(groups[i].dataset, groups[i].group);
      for (std::size_t k = 0; arrays_.log_theta && k < k_n_; ++k)
        arrays_.log_theta[at + k] = log_gamma_[k * lane_count + i];
      for (std::size_t k = 0; arrays_.theta && k < k_n_; ++k) arrays_.theta[at + k] = theta_[k * lane_count + i];
    }
  }
  if (!wants_counts) return;
  if (n_urns < n) searches(groups, n_urns, n);
  for (std::size_t i = 0; i < n; ++i) deliver_lane(groups[i], i);
}

// What is prepared of category k's concentration, to the lanes of the datasets' groups.
template <class T>
void SimulationWorker<T>::spread(const Group* groups, std::size_t n, std::size_t k, GammaShape& to) const {
  for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
    const std::uint32_t d = groups[begin].dataset;
    while (end < n && groups[end].dataset == d) ++end;
    const std::size_t place = d * k_n_ + k;
    const std::size_t stop = end < n ? end : lane_count;  // idle lanes repeat the last group
    kernels_.spread(&prepared_[place / lane_count], place % lane_count, begin, stop, &to);
  }
}

// One lane's counts: from its urn or its search, or, where the total is beyond both, from its own multinomial.
template <class T>
void SimulationWorker<T>::deliver_lane(const Group& group, std::size_t lane) {
  if (group.total <= search_limit) return deliver(group, counts_.data() + lane, lane_count);
  double theta[many_categories];
  double scratch[2];
  std::int64_t counts[many_categories];
  for (std::size_t k = 0; k < k_n_; ++k) theta[k] = theta_[k * lane_count + lane];
  Stream stream(group_bases_[group.dataset].group(group.group));
  multinomial(stream, group.total, theta, k_n_, scratch, counts);
  deliver(group, counts, 1);
}

// Counts of the first n lanes, by splitting off one category after the other; adds them to the shapes.
template <class T>
void SimulationWorker<T>::urns(const Group* groups, std::size_t n) {
  alignas(64) double left[lane_count];
  alignas(64) std::uint64_t a[lane_count];
  alignas(64) std::uint64_t b[lane_count];
  LaneStates lanes;
  for (std::size_t i = 0; i < lane_count; ++i) left[i] = i < n ? static_cast<double>(groups[i].total) : 0.0;
  for (std::size_t i = 0; i < lane_count; ++i) suffix_sum_[(k_n_ - 1) * lane_count + i] = 0.0;
  for (std::size_t k = k_n_ - 1; k > 0; --k) {
    double* out = suffix_sum_.data() + (k - 1) * lane_count;
    for (std::size_t i = 0; i < lane_count; ++i) out[i] = out[i + lane_count] + shape_[k * lane_count + i];
  }
  addresses(group_bases_, groups, n, a, b);
  for (std::size_t k = 0; k + 1 < k_n_; ++k) {
    // How far the lock-step runs depends on the neighbours: each category starts from an address of its own.
    if (k > 0) {
      for (std::size_t i = 0; i < lane_count; ++i) a[i] += 0xA0761D6478BD642Fu;
    }
    kernels_.seed(a, b, &lanes);
    double largest = 0.0;
    for (std::size_t i = 0; i < lane_count; ++i) largest = std::max(largest, left[i]);
    double* shape = shape_.data() + k * lane_count;
    double* taken = counts_.data() + k * lane_count;
    kernels_.urn(&lanes, shape, suffix_sum_.data() + k * lane_count, left, static_cast<std::size_t>(largest), taken);
    for (std::size_t i = 0; i < lane_count; ++i) {
      shape[i] += taken[i];
      left[i] -= taken[i];
    }
  }
  double* shape = shape_.data() + (k_n_ - 1) * lane_count;
  double* taken = counts_.data() + (k_n_ - 1) * lane_count;
  for (std::size_t i = 0; i < lane_count; ++i) {
    taken[i] = left[i];
    shape[i] += left[i];
  }
}

// Counts of those of the lanes begin..end that have no urn, from theta, one category after the other.
template <class T>
void SimulationWorker<T>::searches(const Group* groups, std::size_t begin, std::size_t end) {
  alignas(64) double left[lane_count];
  alignas(64) double taken[lane_count];
  alignas(64) std::uint64_t a[lane_count];
  alignas(64) std::uint64_t b[lane_count];
  std::fill(left, left + lane_count, 0.0);
  for (std::size_t i = begin; i < end; ++i) {
    const std::int32_t total = groups[i].total;
    if (total > urn_limit(k_n_) && total <= search_limit) left[i] = static_cast<double>(total);
  }
  for (std::size_t i = 0; i < lane_count; ++i) suffix_sum_[(k_n_ - 1) * lane_count + i] = 0.0;
  for (std::size_t k = k_n_ - 1; k > 0; --k) {
    double* out = suffix_sum_.data() + (k - 1) * lane_count;
    for (std::size_t i = 0; i < lane_count; ++i) out[i] = out[i + lane_count] + theta_[k * lane_count + i];
  }
  addresses(group_bases_, groups, end, a, b);
  LaneStates lanes;
  kernels_.seed(a, b, &lanes);
  for (std::size_t k = 0; k < k_n_; ++k) {  // the last category has all that is left
    const double* theta = theta_.data() + k * lane_count;
    kernels_.binomials(&lanes, left, theta, suffix_sum_.data() + k * lane_count, taken);
    for (std::size_t i = begin; i < end; ++i) {
      counts_[k * lane_count + i] = taken[i];
      left[i] -= taken[i];
    }
  }
}

// Logs of gamma variates for 64 lanes, from the streams at the addresses a and b; shapes(k, to) prepares category k's
// shapes.
template <class T>
template <class Shapes>
void SimulationWorker<T>::log_gammas(const std::uint64_t* a, const std::uint64_t* b, const Shapes& shapes) {
  LaneStates lanes;
  kernels_.seed(a, b, &lanes);
  GammaShape first;
  GammaShape second;
  for (std::size_t k = 0; k < k_n_; k += 2) {  // with an odd K the last one's partner is drawn and dropped
    shapes(k, first);
    shapes(std::min(k + 1, k_n_ - 1), second);
    double* out = log_gamma_.data() + k * lane_count;
    kernels_.gamma_pair(&lanes, &first, &second, out, out + lane_count);
  }
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
  suffix_sum_.resize(padded);  // here: the inverses of the shapes
  for (std::size_t k = 0; k < padded; ++k) suffix_sum_[k] = 1.0 / shape_[k];
  log_gamma_.resize(padded);
  theta_.resize(padded);
  std::vector<GammaShape> prepared(2 * n_pairs);  // where the pair is not tiny
  std::vector<bool> tiny(n_pairs);
  for (std::size_t pair = 0; pair < n_pairs; ++pair) {
    const double* from = shape_.data() + 2 * pair * lane_count;
    tiny[pair] = *std::max_element(from, from + 2 * lane_count) < tiny_shape;
    for (std::size_t j = 0; j < 2 && !tiny[pair]; ++j) kernels_.prepare(from + j * lane_count, &prepared[2 * pair + j]);
  }
  const Address theta_base = Address::of(request_.key, Site::theta, number(d));
  const Address group_base = Address::of(request_.key, Site::group, number(d));
  std::vector<double> scratch(2 * k_n_);
  std::vector<T> own_counts(arrays_.counts ? 0 : k_n_);
  alignas(64) std::uint64_t a[lane_count];
  alignas(64) std::uint64_t b[lane_count];
  LaneStates lanes;
  std::size_t n_seen = 0;  // since the last look at the clock
  for (std::size_t g = 0; g < n_groups(d); ++g) {
    n_seen += k_n_;
    if (n_seen >= groups_per_look) {
      n_seen = 0;
      poll_();
    }
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
        kernels_.gamma_tiny(&lanes, shape_.data() + at, suffix_sum_.data() + at, out);
        if (at + lane_count < k_n_) {
          kernels_.gamma_tiny(&lanes, shape_.data() + at + lane_count, suffix_sum_.data() + at + lane_count,
                              out + lane_count);
        }
      } else {
        kernels_.gamma_pair(&lanes, &prepared[2 * pair], &prepared[2 * pair + 1], out, out + lane_count);
      }
    }
    const std::size_t to = row(d, g);
    double* const theta = arrays_.theta ? arrays_.theta + to : theta_.data();
    kernels_.normalise_row(log_gamma_.data(), k_n_, arrays_.log_theta ? arrays_.log_theta + to : nullptr, theta);
    if (!wants_counts) continue;
    Stream stream(group_base.group(g));
    T* const counts = arrays_.counts ? static_cast<T*>(arrays_.counts) + to : own_counts.data();
    multinomial(stream, groups[g].total, theta, k_n_, scratch.data(), counts);
    if (arrays_.statistics) tally(groups[g], counts, 1);
  }
}

}  // namespace
}  // namespace hbm_fast
