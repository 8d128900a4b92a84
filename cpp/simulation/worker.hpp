// One chunk of datasets: their hyperparameters, then their groups in one of two layouts.
//   few categories: a lane is a group. Small totals come from a Polya urn, before theta, which is then drawn from its
//     exact conditional Dirichlet(alpha beta + x): the same joint law, and without theta half of the work is not done.
//     Larger totals come from theta by conditional binomials. Which way a group goes depends on its own total alone.
//   many categories: a lane is a category of the group at hand.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "simulation/kernels.hpp"
#include "simulation/simulate.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {

namespace {

// From here on a lane is a category. These are part of the stream's definition.
constexpr std::size_t many_categories = 32;
constexpr std::int64_t urn_limit(std::size_t n_categories) { return static_cast<std::int64_t>(128 / n_categories); }
// Up to this total the lanes search their binomials side by side; beyond it each group goes alone.
constexpr std::int64_t search_limit = largest_search;
// Groups between two looks at the clock, and categories of them where a lane is a category.
constexpr std::size_t groups_per_look = 4096;
// Below this shape Ahrens & Dieter's generator beats Marsaglia & Tsang's.
constexpr double tiny_shape = 0.02;

template <class T>
class SimulationWorker {
 public:
  SimulationWorker(const SimulationRequest& request, const SimulationArrays& arrays, TimedPoll& poll)
      : request_(request),
        arrays_(arrays),
        poll_(poll),
        kernels_(simulate_kernels()),
        k_n_(request.n_categories),
        has_flat_beta_(has_flat_beta(request)) {}

  // The datasets begin..end; what one chunk has allocated serves the next.
  void run(std::size_t begin, std::size_t end) {
    begin_ = begin;
    n_datasets_ = end - begin;
    concentration_.resize(n_datasets_ * k_n_);
    if (arrays_.statistics) tallies_.assign(n_datasets_ * (k_n_ + 1) * (arrays_.max_total + 1), 0);
    if (has_unit_priors()) {
      for (std::size_t d = 0; d < n_datasets_; d += lane_count) unit_hyperparameters(d);
    } else {
      for (std::size_t d = 0; d < n_datasets_; ++d) hyperparameters(d);
    }
    exponentials(arrays_.log_alpha + begin, n_datasets_, arrays_.alpha + begin);
    exponentials(arrays_.log_beta + begin * k_n_, n_datasets_ * k_n_, arrays_.beta + begin * k_n_);
    for (std::size_t d = 0; d < n_datasets_; ++d) {
      size(d);
      pad(d);
    }
    list_groups();
    if (k_n_ >= many_categories) {
      std::size_t at = 0;
      for (std::size_t d = 0; d < n_datasets_; at += n_groups(d), ++d) categories_as_lanes(d, groups_.data() + at);
    } else if (k_n_ == 2) {
      two_categories();
    } else {
      few_categories();
    }
    if (arrays_.statistics) {
      for (std::size_t d = 0; d < n_datasets_; ++d) exceedances(d);
    }
  }

 private:
  struct Group {
    std::uint32_t dataset;  // within the chunk
    std::uint32_t group;
    std::int32_t total;
    std::uint32_t listed;  // its place before the sort
  };

  std::uint64_t number(std::size_t d) const { return request_.first + begin_ + d; }
  std::size_t row(std::size_t d, std::size_t group) const {
    return ((begin_ + d) * request_.max_groups + group) * k_n_;
  }

  void hyperparameters(std::size_t d) {
    const std::size_t b = begin_ + d;
    double* log_beta = arrays_.log_beta + b * k_n_;
    Stream stream(request_.key, Site::hyperparameters, number(d));
    if (!request_.alpha_given) arrays_.log_alpha[b] = request_.alpha.draw_log(stream);
    if (!request_.beta_given) {
      if (request_.beta.fixed) {
        for (std::size_t k = 0; k < k_n_; ++k) log_beta[k] = std::log(request_.beta.values[k]);
      } else if (has_flat_beta_ && k_n_ >= many_categories) {
        log_flat_dirichlet(stream, log_beta);
      } else {
        log_dirichlet(stream, request_.beta.values.data(), k_n_, log_beta);
      }
    }
    theta_.resize(k_n_);
    for (std::size_t k = 0; k < k_n_; ++k) theta_[k] = arrays_.log_alpha[b] + log_beta[k];
    kernels_.concentrations(theta_.data(), k_n_, concentration_.data() + d * k_n_);
  }

  // Dirichlet(1, ..., 1): exponential variates alone.
  static bool has_flat_beta(const SimulationRequest& request) {
    const BetaPrior& beta = request.beta;
    return !request.beta_given && !beta.fixed &&
           std::all_of(beta.values.begin(), beta.values.end(), [](double c) { return c == 1.0; });
  }

  // The same bits as log_dirichlet of ones: the categories side by side.
  void log_flat_dirichlet(Stream& stream, double* log_beta);

  // The note's priors and few categories: the datasets are drawn side by side.
  bool has_unit_priors() const {
    return k_n_ < many_categories && !request_.alpha_given && request_.alpha.kind == AlphaKind::exponential &&
           has_flat_beta_;
  }

  // The same bits as `hyperparameters` of 64 datasets.
  void unit_hyperparameters(std::size_t begin);

  void exponentials(const double* x, std::size_t size, double* out) const {
    if (kernels_.exponentials(x, size, out)) return;
    for (std::size_t i = 0; i < size; ++i) {
      if (x[i] < least_exponent || x[i] > largest_exponent) out[i] = std::exp(x[i]);
    }
  }

  void size(std::size_t d) {
    const std::size_t b = begin_ + d;
    if (request_.n_groups.values != nullptr) {
      arrays_.n_groups[b] = request_.n_groups.given(b, 0);
    } else if (request_.n_groups.high > request_.n_groups.low) {
      Stream sizes(request_.key, Site::n_groups, number(d));
      arrays_.n_groups[b] = uniform_integer(sizes, request_.n_groups.low, request_.n_groups.high);
    } else {
      arrays_.n_groups[b] = request_.n_groups.low;
    }
  }

  void pad(std::size_t d) {
    const std::size_t from = row(d, n_groups(d));
    const std::size_t to = row(d + 1, 0);
    if (arrays_.counts) std::fill(static_cast<T*>(arrays_.counts) + from, static_cast<T*>(arrays_.counts) + to, T{0});
    if (arrays_.log_theta) std::fill(arrays_.log_theta + from, arrays_.log_theta + to, 0.0);
    if (arrays_.theta) std::fill(arrays_.theta + from, arrays_.theta + to, 0.0);
  }

  std::size_t n_groups(std::size_t d) const { return static_cast<std::size_t>(arrays_.n_groups[begin_ + d]); }

  // The addresses of the listed groups, padded to whole blocks of lanes.
  void list_addresses(const std::vector<Address>& bases) {
    for (auto* table : {&a_, &b_}) table->resize(padded(groups_.size()));
    std::uint64_t* a = a_.data();
    std::uint64_t* b = b_.data();
    for (std::size_t d = 0; d < n_datasets_; ++d) {
      Address address = bases[d];
      for (std::size_t left = n_groups(d); left > 0; --left, address = address.group(1)) {
        *a++ = address.a;
        *b++ = address.b;
      }
    }
  }

  // A word for each listed group, by hashing alone.
  void hash_groups(const std::vector<Address>& bases) {
    list_addresses(bases);
    words_.resize(a_.size());
    for (std::size_t at = 0; at < a_.size(); at += lane_count) kernels_.words(&a_[at], &b_[at], &words_[at]);
  }

  // Every real group of the chunk with its total, dataset by dataset.
  void list_groups() {
    const IntegerSource& source = request_.totals;
    std::size_t n_all = 0;
    for (std::size_t d = 0; d < n_datasets_; ++d) n_all += n_groups(d);
    groups_.resize(n_all);
    std::uint32_t at = 0;
    for (std::uint32_t d = 0; d < n_datasets_; ++d) {
      const auto n = static_cast<std::uint32_t>(n_groups(d));
      for (std::uint32_t g = 0; g < n; ++g, ++at) {
        const std::int64_t total = source.values != nullptr ? source.given(begin_ + d, g) : source.low;
        groups_[at] = {d, g, static_cast<std::int32_t>(total), at};
      }
    }
    if (source.values != nullptr || source.high == source.low) return;
    // Lemire's method as in uniform_integer; the rare word that it refuses is replaced from a stream.
    const std::vector<Address> bases = dataset_addresses(Site::total);
    hash_groups(bases);
    const std::uint64_t range = static_cast<std::uint64_t>(source.high - source.low) + 1;
    for (Group& group : groups_) {
      const auto product = static_cast<unsigned __int128>(words_[group.listed]) * range;
      group.total = static_cast<std::int32_t>(source.low + static_cast<std::int64_t>(product >> 64));
      if (static_cast<std::uint64_t>(product) < range) {
        Stream stream(bases[group.dataset].group(group.group));
        group.total = static_cast<std::int32_t>(uniform_integer(stream, source.low, source.high));
      }
    }
  }

  // The groups by total, so that neighbours draw alike many from their urns; those above the limit come last.
  const std::vector<Group>& sorted_groups() {
    if (request_.totals.values == nullptr && request_.totals.low == request_.totals.high) return groups_;
    const auto limit = static_cast<std::size_t>(urn_limit(k_n_));
    std::vector<std::size_t> starts(limit + 3, 0);
    const auto bucket = [&](const Group& group) { return std::min(static_cast<std::size_t>(group.total), limit + 1); };
    for (const Group& group : groups_) ++starts[bucket(group) + 1];
    for (std::size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
    sorted_.resize(groups_.size());
    for (const Group& group : groups_) sorted_[starts[bucket(group)]++] = group;
    return sorted_;
  }

  // How many of the groups, sorted by total, have urns (with no counts wanted they still decide theta's stream).
  std::size_t count_urns(const std::vector<Group>& sorted) const {
    const std::int64_t limit = urn_limit(k_n_);
    const auto within = [&](const Group& group) { return group.total <= limit; };
    return static_cast<std::size_t>(std::partition_point(sorted.begin(), sorted.end(), within) - sorted.begin());
  }

  std::vector<Address> dataset_addresses(Site site) const {
    std::vector<Address> bases(n_datasets_);
    for (std::size_t d = 0; d < n_datasets_; ++d) bases[d] = Address::of(request_.key, site, number(d));
    return bases;
  }

  // Idle lanes repeat the last group.
  void addresses(const std::vector<Address>& bases, const Group* groups, std::size_t n, std::uint64_t* a,
                 std::uint64_t* b) const {
    for (std::size_t i = 0; i < n; ++i) {
      const Address address = bases[groups[i].dataset].group(groups[i].group);
      a[i] = address.a;
      b[i] = address.b;
    }
    std::fill(a + n, a + lane_count, a[n - 1]);
    std::fill(b + n, b + lane_count, b[n - 1]);
  }

  static std::size_t padded(std::size_t n) { return (n + lane_count - 1) / lane_count * lane_count; }

  void two_categories();
  std::size_t draw_two_categories();
  void deliver_pairs(std::size_t d, std::size_t at);
  void pairs_as_lanes(std::size_t at, bool searching);
  void few_categories();
  void groups_as_lanes(const Group* groups, std::size_t n, std::size_t n_urns);
  void urns(const Group* groups, std::size_t n);
  template <class Shapes>
  void log_gammas(const std::uint64_t* a, const std::uint64_t* b, const Shapes& shapes);
  void searches(const Group* groups, std::size_t begin, std::size_t end);
  void spread(const Group* groups, std::size_t n, std::size_t k, GammaShape& to) const;
  void deliver_lane(const Group& group, std::size_t lane);
  void categories_as_lanes(std::size_t d, const Group* groups);

  // The counts of one group, whole numbers in any type, to where they are wanted.
  template <class X>
  void deliver(const Group& group, const X* counts, std::size_t stride) {
    if (arrays_.counts) {
      T* out = static_cast<T*>(arrays_.counts) + row(group.dataset, group.group);
      for (std::size_t k = 0; k < k_n_; ++k) out[k] = static_cast<T>(static_cast<std::int64_t>(counts[k * stride]));
    }
    if (arrays_.statistics) tally(group, counts, stride);
  }

  template <class X>
  void tally(const Group& group, const X* counts, std::size_t stride) {
    const std::size_t width = arrays_.max_total + 1;
    std::int32_t* table = tallies_.data() + group.dataset * (k_n_ + 1) * width;
    for (std::size_t k = 0; k < k_n_; ++k)
      ++table[k * width + static_cast<std::size_t>(static_cast<std::int64_t>(counts[k * stride]))];
    ++table[k_n_ * width + static_cast<std::size_t>(group.total)];
  }

  void exceedances(std::size_t d) {
    const std::size_t width = arrays_.max_total + 1;
    for (std::size_t r = 0; r <= k_n_; ++r) {
      const std::int32_t* tallies = tallies_.data() + (d * (k_n_ + 1) + r) * width;
      float* out = arrays_.statistics + ((begin_ + d) * (k_n_ + 1) + r) * arrays_.max_total;
      std::int32_t above = 0;
      for (std::size_t j = arrays_.max_total; j-- > 0;) {
        above += tallies[j + 1];
        out[j] = static_cast<float>(above);
      }
    }
  }

  const SimulationRequest& request_;
  const SimulationArrays& arrays_;
  TimedPoll& poll_;
  const SimulateKernels& kernels_;
  std::size_t k_n_;
  bool has_flat_beta_;
  std::size_t begin_ = 0;
  std::size_t n_datasets_ = 0;
  std::vector<double> concentration_;  // (chunk, K)
  std::vector<std::int32_t> tallies_;  // (chunk, K + 1, J + 1)
  std::vector<Group> groups_, sorted_;
  std::vector<std::uint64_t> a_, b_, words_;  // addresses and their words, by place before the sort
  std::vector<std::int32_t> first_, second_;  // two categories: the counts of each group with an urn, 0 without
  std::vector<GammaShape> prepared_;          // few categories: of the concentrations
  std::vector<Address> group_bases_, theta_bases_;
  std::vector<double> log_gamma_, theta_, shape_, suffix_sum_, counts_;  // (K, lanes), or (categories padded to blocks)
};

}  // namespace
}  // namespace hbm_fast

#include "simulation/layouts.hpp"
#include "simulation/two_categories.hpp"
