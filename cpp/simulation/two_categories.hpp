// SimulationWorker's layout for two categories: a lane is a group, in the order of the list, which is that of the
// results.
#pragma once

#include "simulation/worker.hpp"

namespace hbm_fast {
namespace {

template <class T>
void SimulationWorker<T>::two_categories() {
  for (auto* table : {&log_gamma_, &theta_, &shape_, &suffix_sum_, &counts_}) table->resize(3 * lane_count);
  for (auto* table : {&first_, &second_}) table->resize(groups_.size());
  group_bases_ = dataset_addresses(Site::group);
  const bool beyond = draw_two_categories() < groups_.size();
  const bool wants_counts = arrays_.counts || arrays_.statistics;
  if (wants_counts) {
    for (std::size_t d = 0, at = 0; d < n_datasets_; at += n_groups(d), ++d) deliver_pairs(d, at);
  }
  if (!arrays_.theta && !arrays_.log_theta && !(wants_counts && beyond)) return;
  theta_bases_ = dataset_addresses(Site::theta);
  list_addresses(theta_bases_);
  for (std::size_t at = 0; at < groups_.size(); at += lane_count) {
    if (at % groups_per_look == 0) poll_();
    pairs_as_lanes(at, wants_counts && beyond);
  }
}

// The counts of every group with an urn, by inversion; how many there are. Groups of one dataset and one total,
// neighbours when sorted, draw from one urn; many of them are spread over several lanes.
template <class T>
std::size_t SimulationWorker<T>::draw_two_categories() {
  constexpr std::size_t most_rounds = 32;
  alignas(64) double yes[polya_lanes];
  alignas(64) double no[polya_lanes];
  alignas(64) std::uint64_t word[most_rounds * polya_lanes] = {};
  alignas(64) std::int64_t successes[most_rounds * polya_lanes];
  std::size_t start[polya_lanes + 1];
  const std::vector<Group>& groups = sorted_groups();
  const bool sorted = &groups == &sorted_;
  const std::size_t n_urns = count_urns(groups);
  for (std::size_t g = n_urns; g < groups.size(); ++g) first_[groups[g].listed] = second_[groups[g].listed] = 0;
  if (n_urns > 0) hash_groups(group_bases_);
  for (std::size_t at = 0, looked = 0; at < n_urns;) {
    if (at - looked >= groups_per_look) {
      looked = at;
      poll_();
    }
    const std::int32_t total = groups[at].total;
    std::size_t n_lanes = 0;
    std::size_t n_rounds = 0;
    for (start[0] = at; n_lanes < polya_lanes && at < n_urns && groups[at].total == total; start[++n_lanes] = at) {
      const std::uint32_t d = groups[at].dataset;
      yes[n_lanes] = concentration_[2 * d];
      no[n_lanes] = concentration_[2 * d + 1];
      const std::size_t most = std::min(n_urns, at + most_rounds);
      if (sorted) {
        while (at < most && groups[at].dataset == d && groups[at].total == total) ++at;
      } else {
        at = std::min(most, at + n_groups(d) - groups[at].group);
      }
      std::uint64_t* lane = word + n_lanes;
      for (std::size_t g = start[n_lanes]; g < at; ++g, lane += polya_lanes) *lane = words_[groups[g].listed];
      n_rounds = std::max(n_rounds, at - start[n_lanes]);
    }
    for (std::size_t i = n_lanes; i < polya_lanes; ++i) yes[i] = no[i] = 1.0;
    kernels_.polya(yes, no, static_cast<std::size_t>(total), n_rounds, word, successes);
    for (std::size_t i = 0; i < n_lanes; ++i) {
      const std::int64_t* lane = successes + i;
      for (std::size_t g = start[i]; g < start[i + 1]; ++g, lane += polya_lanes) {
        const auto first = static_cast<std::int32_t>(*lane);
        first_[groups[g].listed] = first;
        second_[groups[g].listed] = total - first;
      }
    }
  }
  return n_urns;
}

// The counts of dataset d, whose first group is at `at` in the list; where a group has no urn they come later.
template <class T>
void SimulationWorker<T>::deliver_pairs(std::size_t d, std::size_t at) {
  const std::size_t n = n_groups(d);
  const std::int32_t* first = first_.data() + at;
  const std::int32_t* second = second_.data() + at;
  if (arrays_.counts) {
    T* out = static_cast<T*>(arrays_.counts) + row(d, 0);
    for (std::size_t g = 0; g < n; ++g) {
      out[2 * g] = static_cast<T>(first[g]);
      out[2 * g + 1] = static_cast<T>(second[g]);
    }
  }
  if (arrays_.statistics) {
    const std::size_t width = arrays_.max_total + 1;
    std::int32_t* table = tallies_.data() + d * 3 * width;
    for (std::size_t g = 0; g < n; ++g) {
      const auto total = static_cast<std::size_t>(groups_[at + g].total);
      if (groups_[at + g].total > urn_limit(2)) continue;
      ++table[static_cast<std::size_t>(first[g])];
      ++table[width + static_cast<std::size_t>(second[g])];
      ++table[2 * width + total];
    }
  }
}

// Theta of the groups at..at + 64 of the list, and, with `searching`, the counts of those without an urn.
template <class T>
void SimulationWorker<T>::pairs_as_lanes(std::size_t at, bool searching) {
  const Group* groups = groups_.data() + at;
  const std::size_t n = std::min(lane_count, groups_.size() - at);
  const auto datasets =
      [&](const auto& visit) {  // the lanes begin..end are of one dataset, and neighbours in the results
        for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
          const std::size_t d = groups[begin].dataset;
          end = std::min(n, begin + n_groups(d) - groups[begin].group);
          visit(begin, end, row(d, groups[begin].group), concentration_.data() + 2 * d);
        }
      };
  for (std::size_t k = 0; k < 2; ++k) std::fill(&shape_[k * lane_count + n], &shape_[(k + 1) * lane_count], 1.0);
  datasets([&](std::size_t begin, std::size_t end, std::size_t, const double* a) {
    const double yes = a[0];
    const double no = a[1];
    for (std::size_t i = begin; i < end; ++i) shape_[i] = yes + first_[at + i];
    for (std::size_t i = begin; i < end; ++i) shape_[lane_count + i] = no + second_[at + i];
  });
  log_gammas(&a_[at], &b_[at], [&](std::size_t k, GammaShape& to) { kernels_.prepare(&shape_[k * lane_count], &to); });
  alignas(64) double log_theta[2 * lane_count];
  alignas(64) double theta[2 * lane_count];
  const std::size_t place = row(groups[0].dataset, groups[0].group);
  const bool together = n == lane_count && row(groups[n - 1].dataset, groups[n - 1].group) == place + 2 * (n - 1);
  double* const log_theta_out = together && arrays_.log_theta ? arrays_.log_theta + place : log_theta;
  double* const theta_out = together && arrays_.theta ? arrays_.theta + place : theta;
  kernels_.normalise_pairs(log_gamma_.data(), log_theta_out, theta_out);
  if (!together) {
    datasets([&](std::size_t begin, std::size_t end, std::size_t to, const double*) {
      if (arrays_.log_theta) std::copy(log_theta + 2 * begin, log_theta + 2 * end, arrays_.log_theta + to);
      if (arrays_.theta) std::copy(theta + 2 * begin, theta + 2 * end, arrays_.theta + to);
    });
  }
  if (!searching) return;
  for (std::size_t i = 0; i < lane_count; ++i) {
    theta_[i] = theta_out[2 * i];
    theta_[lane_count + i] = theta_out[2 * i + 1];
  }
  searches(groups, 0, n);
  for (std::size_t i = 0; i < n; ++i) {
    if (groups[i].total > urn_limit(2)) deliver_lane(groups[i], i);
  }
}

}  // namespace
}  // namespace hbm_fast
