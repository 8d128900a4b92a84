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
#include <limits>
#include <vector>

#include "hbm_fast/simulate.hpp"
#include "hbm_fast/variates.hpp"
#include "simulate_kernels.hpp"

namespace hbm_fast {

const SimulateKernels& simulate_kernels();

namespace {

// From here on a lane is a category. These are part of the stream's definition.
constexpr std::size_t many_categories = 32;
constexpr std::int64_t urn_limit(std::size_t n_categories) { return static_cast<std::int64_t>(128 / n_categories); }
// Up to this total the lanes search their binomials side by side; beyond it each group goes alone.
constexpr std::int64_t search_limit = 256;
// Below this shape Ahrens & Dieter's generator beats Marsaglia & Tsang's.
constexpr double tiny_shape = 0.02;
// A concentration stays a normal number, and log(U) / concentration finite.
constexpr double smallest_concentration = 1e-300;

template <class T>
class SimulationWorker {
 public:
  SimulationWorker(const SimulationRequest& request, const SimulationArrays& arrays, std::size_t begin, std::size_t end)
      : request_(request),
        arrays_(arrays),
        kernels_(simulate_kernels()),
        begin_(begin),
        n_datasets_(end - begin),
        k_n_(request.n_categories),
        concentration_(n_datasets_ * k_n_) {
    if (arrays_.statistics) tallies_.assign(n_datasets_ * (k_n_ + 1) * (arrays_.max_total + 1), 0);
  }

  void run() {
    for (std::size_t d = 0; d < n_datasets_; ++d) {
      hyperparameters(d);
      pad(d);
    }
    list_groups();
    if (k_n_ < many_categories) {
      sort_groups();
      group_bases_ = dataset_addresses(Site::group);
      theta_bases_ = dataset_addresses(Site::theta);
      for (auto* table : {&log_gamma_, &theta_, &shape_, &behind_, &drawn_}) table->resize((k_n_ + 1) * lane_count);
      for (std::size_t at = 0; at < groups_.size(); at += lane_count) groups_as_lanes(at);
    } else {
      std::size_t at = 0;
      for (std::size_t d = 0; d < n_datasets_; at += n_groups(d), ++d) categories_as_lanes(d, groups_.data() + at);
    }
    if (arrays_.statistics) {
      for (std::size_t d = 0; d < n_datasets_; ++d) exceedances(d);
    }
  }

 private:
  struct Group {
    std::uint32_t dataset;  // within the chunk
    std::uint32_t group;
    std::int64_t total;
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
      } else {
        log_dirichlet(stream, request_.beta.values.data(), k_n_, log_beta);
      }
    }
    concentrations(arrays_.log_alpha[b], log_beta, k_n_, concentration_.data() + d * k_n_);
    if (request_.n_groups.values != nullptr) {
      arrays_.n_groups[b] = request_.n_groups.given(b, 0);
    } else if (request_.n_groups.high > request_.n_groups.low) {
      Stream sizes(request_.key, Site::n_groups, number(d));
      arrays_.n_groups[b] = uniform_integer(sizes, request_.n_groups.low, request_.n_groups.high);
    } else {
      arrays_.n_groups[b] = request_.n_groups.low;
    }
  }

  static void concentrations(double log_alpha, const double* log_beta, std::size_t k_n, double* out);

  void pad(std::size_t d) {
    const std::size_t from = row(d, n_groups(d));
    const std::size_t to = row(d + 1, 0);
    if (arrays_.counts) std::fill(static_cast<T*>(arrays_.counts) + from, static_cast<T*>(arrays_.counts) + to, T{0});
    if (arrays_.log_theta) std::fill(arrays_.log_theta + from, arrays_.log_theta + to, 0.0);
    if (arrays_.theta) std::fill(arrays_.theta + from, arrays_.theta + to, 0.0);
  }

  std::size_t n_groups(std::size_t d) const { return static_cast<std::size_t>(arrays_.n_groups[begin_ + d]); }

  // The n uniform totals at given addresses (Lemire's method as in uniform_integer; the rare word that it refuses is
  // replaced from a stream).
  void draw_totals(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::int64_t* out) const {
    const IntegerSource& source = request_.totals;
    const std::uint64_t range = static_cast<std::uint64_t>(source.high - source.low) + 1;
    std::uint64_t words[lane_count];
    kernels_.words(a, b, words);
    for (std::size_t i = 0; i < n; ++i) {
      const auto product = static_cast<unsigned __int128>(words[i]) * range;
      out[i] = source.low + static_cast<std::int64_t>(product >> 64);
      if (static_cast<std::uint64_t>(product) < range) {
        Stream stream(Address{a[i], b[i]});
        out[i] = uniform_integer(stream, source.low, source.high);
      }
    }
  }

  // Every real group of the chunk with its total, dataset by dataset.
  void list_groups() {
    const IntegerSource& source = request_.totals;
    for (std::size_t d = 0; d < n_datasets_; ++d) {
      for (std::size_t g = 0; g < n_groups(d); ++g) {
        const std::int64_t total = source.values != nullptr ? source.given(begin_ + d, g) : source.low;
        groups_.push_back({static_cast<std::uint32_t>(d), static_cast<std::uint32_t>(g), total});
      }
    }
    if (source.values != nullptr || source.high == source.low) return;
    const std::vector<Address> bases = dataset_addresses(Site::total);
    std::uint64_t a[lane_count];
    std::uint64_t b[lane_count];
    std::int64_t drawn[lane_count];
    for (std::size_t at = 0; at < groups_.size(); at += lane_count) {
      const std::size_t n = std::min(lane_count, groups_.size() - at);
      addresses(bases, at, n, a, b);
      draw_totals(a, b, n, drawn);
      for (std::size_t i = 0; i < n; ++i) groups_[at + i].total = drawn[i];
    }
  }

  // By total, so that the lanes of a block draw alike many from their urns; those above the limit come last.
  void sort_groups() {
    const auto limit = static_cast<std::size_t>(urn_limit(k_n_));
    std::vector<std::size_t> starts(limit + 3, 0);
    const auto bucket = [&](const Group& group) { return std::min(static_cast<std::size_t>(group.total), limit + 1); };
    for (const Group& group : groups_) ++starts[bucket(group) + 1];
    for (std::size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
    std::vector<Group> sorted(groups_.size());
    for (const Group& group : groups_) sorted[starts[bucket(group)]++] = group;
    groups_.swap(sorted);
  }

  std::vector<Address> dataset_addresses(Site site) const {
    std::vector<Address> bases(n_datasets_);
    for (std::size_t d = 0; d < n_datasets_; ++d) bases[d] = Address::of(request_.key, site, number(d));
    return bases;
  }

  // Idle lanes repeat the last group.
  void addresses(const std::vector<Address>& bases, std::size_t at, std::size_t n, std::uint64_t* a, std::uint64_t* b) const {
    for (std::size_t i = 0; i < lane_count; ++i) {
      const Group& group = groups_[at + std::min(i, n - 1)];
      const Address address = bases[group.dataset].group(group.group);
      a[i] = address.a;
      b[i] = address.b;
    }
  }

  void groups_as_lanes(std::size_t at);
  void urns(std::size_t at, std::size_t n);
  void two_colours(std::size_t at, std::size_t n);
  void theta_of_lanes(std::size_t at, std::size_t n);
  void searches(std::size_t at, std::size_t begin, std::size_t end);
  void categories_as_lanes(std::size_t d, const Group* groups);

  // The counts of one group, whole numbers in any type, to where they are wanted.
  template <class X>
  void deliver(const Group& group, const X* counts, std::size_t stride) {
    if (arrays_.counts) {
      T* out = static_cast<T*>(arrays_.counts) + row(group.dataset, group.group);
      for (std::size_t k = 0; k < k_n_; ++k) out[k] = static_cast<T>(static_cast<std::int64_t>(counts[k * stride]));
    }
    if (arrays_.statistics) {
      const std::size_t width = arrays_.max_total + 1;
      std::int32_t* table = tallies_.data() + group.dataset * (k_n_ + 1) * width;
      for (std::size_t k = 0; k < k_n_; ++k) ++table[k * width + static_cast<std::size_t>(static_cast<std::int64_t>(counts[k * stride]))];
      ++table[k_n_ * width + static_cast<std::size_t>(group.total)];
    }
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
  const SimulateKernels& kernels_;
  std::size_t begin_;
  std::size_t n_datasets_;
  std::size_t k_n_;
  std::vector<double> concentration_;  // (chunk, K)
  std::vector<std::int32_t> tallies_;  // (chunk, K + 1, J + 1)
  std::vector<Group> groups_;
  std::vector<Address> group_bases_, theta_bases_;
  std::vector<double> log_gamma_, theta_, shape_, behind_, drawn_;  // (K, lanes), or (categories padded to blocks)
};

}  // namespace
}  // namespace hbm_fast

#include "simulate_layouts.hpp"
