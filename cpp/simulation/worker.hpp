// Simulates a chunk of datasets on one thread: their hyperparameters, then their groups, 64 lanes side by side.
//   two categories: a lane is a group, in the order of the results. Counts of small totals are drawn from Polya urns,
//     groups of one dataset and one total from the same urn; theta then has the exact conditional distribution
//     Dirichlet(alpha beta + x), so that the joint distribution is the model's, and theta is drawn only where it is
//     returned. Counts of larger totals are drawn from theta by conditional binomials.
//   few categories: the same, with groups sorted by their totals and one urn a lane and category.
//   many categories: a lane is a category of one group; counts by conditional binomials.
// A group's method depends on its own total alone, so that its bits depend on nothing else.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "simulation/kernels.hpp"
#include "simulation/simulate.hpp"
#include "simulation/variates.hpp"
#include "statistics/exceedances.hpp"

namespace hbm_fast {

namespace scalar {
#include "math/elementary.inl"
}

// From here on a lane is a category. These are part of the stream's definition.
constexpr std::size_t many_categories = 32;
constexpr std::int64_t urn_limit(std::size_t n_categories) { return static_cast<std::int64_t>(128 / n_categories); }
// Up to this total the lanes search their binomials side by side; beyond it each group goes alone.
constexpr std::int64_t search_limit = largest_search;
// Below this shape Ahrens & Dieter's generator beats Marsaglia & Tsang's.
constexpr double tiny_shape = 0.02;

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
    for (std::size_t d = 0; d < n_datasets_; ++d) size(d);
    pad();
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
      } else if (request_.beta.concentration) {
        const double log_c = request_.beta.concentration->draw_log(stream);
        if (arrays_.beta_concentration) arrays_.beta_concentration[b] = std::exp(log_c);
        theta_.assign(k_n_, concentration_of(log_c));
        log_dirichlet(stream, theta_.data(), k_n_, log_beta);
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
    return !request.beta_given && !beta.fixed && !beta.concentration &&
           std::all_of(beta.values.begin(), beta.values.end(), [](double c) { return c == 1.0; });
  }

  // The same bits as log_dirichlet of ones: the categories side by side.
  void log_flat_dirichlet(Stream& stream, double* log_beta) {
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
    const double log_sum = scalar::log1p_of(rest);
    for (std::size_t k = 0; k < k_n_; ++k) log_beta[k] -= log_sum;
  }

  // Exponential alpha, flat beta (the priors of Le (2020)) and few categories: 64 datasets are drawn side by side.
  bool has_unit_priors() const {
    return k_n_ < many_categories && !request_.alpha_given && request_.alpha.kind == AlphaKind::exponential &&
           has_flat_beta_;
  }

  // The same bits as `hyperparameters` of 64 datasets.
  void unit_hyperparameters(std::size_t begin) {
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
    const double log_rate = scalar::log_of(request_.alpha.a);
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

  // Zeros after the last group of each dataset.
  void pad() const {
    const auto fill = [&]<class T>(T* array) {
      for (std::size_t d = 0; d < n_datasets_; ++d) std::fill(array + row(d, n_groups(d)), array + row(d + 1, 0), T{0});
    };
    with_counts(fill);
    if (arrays_.log_theta) fill(arrays_.log_theta);
    if (arrays_.theta) fill(arrays_.theta);
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

  // --- two categories: a lane is a group, in the order of the list, which is that of the results ---

  void two_categories() {
    for (auto* table : {&log_gamma_, &theta_, &shape_, &suffix_sum_, &counts_}) table->resize(3 * lane_count);
    for (auto* table : {&first_, &second_}) table->resize(groups_.size());
    group_bases_ = dataset_addresses(Site::group);
    const bool beyond = draw_two_categories() < groups_.size();
    const bool wants_counts = arrays_.counts || arrays_.statistics;
    deliver_two_categories();
    if (!arrays_.theta && !arrays_.log_theta && !(wants_counts && beyond)) return;
    theta_bases_ = dataset_addresses(Site::theta);
    list_addresses(theta_bases_);
    for (std::size_t at = 0; at < groups_.size(); at += lane_count) {
      if (at % items_per_poll == 0) poll_();
      two_categories_as_lanes(at, wants_counts && beyond);
    }
  }

  // The counts of every group with an urn, by inversion; how many there are. Groups of one dataset and one total,
  // neighbours when sorted, draw from one urn; many of them are spread over several lanes.
  std::size_t draw_two_categories() {
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
      if (at - looked >= items_per_poll) {
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

  // The counts of the groups with an urn; the others' are zeros here and come later.
  void deliver_two_categories() {
    with_counts([&]<class T>(T* counts) {
      for (std::size_t d = 0, at = 0; d < n_datasets_; at += n_groups(d), ++d) {
        const std::size_t n = n_groups(d);
        const std::int32_t* const first = first_.data() + at;
        const std::int32_t* const second = second_.data() + at;
        T* const out = counts + row(d, 0);
        for (std::size_t g = 0; g < n; ++g) {
          out[2 * g] = static_cast<T>(first[g]);
          out[2 * g + 1] = static_cast<T>(second[g]);
        }
      }
    });
    if (!arrays_.statistics) return;
    const std::size_t width = arrays_.max_total + 1;
    for (std::size_t d = 0, at = 0; d < n_datasets_; ++d) {
      std::int32_t* const table = tallies_.data() + d * 3 * width;
      for (const std::size_t end = at + n_groups(d); at < end; ++at) {
        if (groups_[at].total > urn_limit(2)) continue;
        ++table[static_cast<std::size_t>(first_[at])];
        ++table[width + static_cast<std::size_t>(second_[at])];
        ++table[2 * width + static_cast<std::size_t>(groups_[at].total)];
      }
    }
  }

  // Theta of the groups at..at + 64 of the list, and, with `searching`, the counts of those without an urn.
  void two_categories_as_lanes(std::size_t at, bool searching) {
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
    log_gammas(&a_[at], &b_[at],
               [&](std::size_t k, GammaShape& to) { kernels_.prepare(&shape_[k * lane_count], &to); });
    alignas(64) double log_theta[2 * lane_count];
    alignas(64) double theta[2 * lane_count];
    const std::size_t place = row(groups[0].dataset, groups[0].group);
    const bool together = n == lane_count && row(groups[n - 1].dataset, groups[n - 1].group) == place + 2 * (n - 1);
    double* const log_theta_out = together && arrays_.log_theta ? arrays_.log_theta + place : log_theta;
    double* const theta_out = together && arrays_.theta ? arrays_.theta + place : theta;
    kernels_.normalise_two(log_gamma_.data(), log_theta_out, theta_out);
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

  // --- few categories: a lane is a group ---

  void few_categories() {
    group_bases_ = dataset_addresses(Site::group);
    theta_bases_ = dataset_addresses(Site::theta);
    for (auto* table : {&log_gamma_, &theta_, &shape_, &suffix_sum_, &counts_}) table->resize((k_n_ + 1) * lane_count);
    concentration_.resize(padded(concentration_.size()), 1.0);
    prepared_.resize(concentration_.size() / lane_count);
    for (std::size_t i = 0; i < prepared_.size(); ++i) kernels_.prepare(&concentration_[i * lane_count], &prepared_[i]);
    const std::vector<Group>& groups = sorted_groups();
    const std::size_t n_urns = count_urns(groups);
    for (std::size_t at = 0; at < groups.size(); at += lane_count) {
      if (at % items_per_poll == 0) poll_();
      const std::size_t n = std::min(lane_count, groups.size() - at);
      groups_as_lanes(groups.data() + at, n, std::clamp(n_urns, at, at + n) - at);
    }
  }

  // The first n_urns of the n <= 64 groups have urns.
  void groups_as_lanes(const Group* groups, std::size_t n, std::size_t n_urns) {
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
  void spread(const Group* groups, std::size_t n, std::size_t k, GammaShape& to) const {
    for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
      const std::uint32_t d = groups[begin].dataset;
      while (end < n && groups[end].dataset == d) ++end;
      const std::size_t place = d * k_n_ + k;
      const std::size_t stop = end < n ? end : lane_count;  // idle lanes repeat the last group
      kernels_.spread(&prepared_[place / lane_count], place % lane_count, begin, stop, &to);
    }
  }

  // One lane's counts: from its urn or its search, or, where the total is beyond both, from its own multinomial.
  void deliver_lane(const Group& group, std::size_t lane) {
    if (group.total <= search_limit)
      return deliver(group, [from = counts_.data() + lane](std::size_t k) { return from[k * lane_count]; });
    double theta[many_categories];
    double scratch[2];
    std::int64_t counts[many_categories];
    for (std::size_t k = 0; k < k_n_; ++k) theta[k] = theta_[k * lane_count + lane];
    Stream stream(group_bases_[group.dataset].group(group.group));
    multinomial(stream, group.total, theta, k_n_, scratch, counts);
    deliver(group, [&](std::size_t k) { return counts[k]; });
  }

  // Of each category, the sum over the categories after it.
  void add_suffixes(const std::vector<double>& of) {
    for (std::size_t i = 0; i < lane_count; ++i) suffix_sum_[(k_n_ - 1) * lane_count + i] = 0.0;
    for (std::size_t k = k_n_ - 1; k > 0; --k) {
      double* out = suffix_sum_.data() + (k - 1) * lane_count;
      for (std::size_t i = 0; i < lane_count; ++i) out[i] = out[i + lane_count] + of[k * lane_count + i];
    }
  }

  // Counts of the first n lanes, by splitting off one category after the other; adds them to the shapes.
  void urns(const Group* groups, std::size_t n) {
    alignas(64) double left[lane_count];
    alignas(64) std::uint64_t a[lane_count];
    alignas(64) std::uint64_t b[lane_count];
    LaneStates lanes;
    for (std::size_t i = 0; i < lane_count; ++i) left[i] = i < n ? static_cast<double>(groups[i].total) : 0.0;
    add_suffixes(shape_);
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
  void searches(const Group* groups, std::size_t begin, std::size_t end) {
    alignas(64) double left[lane_count];
    alignas(64) double taken[lane_count];
    alignas(64) std::uint64_t a[lane_count];
    alignas(64) std::uint64_t b[lane_count];
    std::fill(left, left + lane_count, 0.0);
    for (std::size_t i = begin; i < end; ++i) {
      const std::int32_t total = groups[i].total;
      if (total > urn_limit(k_n_) && total <= search_limit) left[i] = static_cast<double>(total);
    }
    add_suffixes(theta_);
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
  template <class Shapes>
  void log_gammas(const std::uint64_t* a, const std::uint64_t* b, const Shapes& shapes) {
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

  // --- many categories: a lane is a category of one group ---

  void categories_as_lanes(std::size_t d, const Group* groups) {
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
      for (std::size_t j = 0; j < 2 && !tiny[pair]; ++j)
        kernels_.prepare(from + j * lane_count, &prepared[2 * pair + j]);
    }
    const Address theta_base = Address::of(request_.key, Site::theta, number(d));
    const Address group_base = Address::of(request_.key, Site::group, number(d));
    std::vector<double> scratch(2 * k_n_);
    std::vector<std::int64_t> counts(k_n_);
    alignas(64) std::uint64_t a[lane_count];
    alignas(64) std::uint64_t b[lane_count];
    LaneStates lanes;
    std::size_t n_seen = 0;  // since the last look at the clock
    for (std::size_t g = 0; g < n_groups(d); ++g) {
      n_seen += k_n_;
      if (n_seen >= items_per_poll) {
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
      multinomial(stream, groups[g].total, theta, k_n_, scratch.data(), counts.data());
      deliver(groups[g], [from = counts.data()](std::size_t k) { return from[k]; });
    }
  }

  // --- results ---

  // Calls write(counts) with the caller's array in its own type, where there is one.
  template <class Write>
  void with_counts(const Write& write) const {
    if (arrays_.counts == nullptr) return;
    visit(CountsView{nullptr, arrays_.count_type, 0, 0, 0, 0},
          [&]<class T>(const TypedCounts<T>&) { write(static_cast<T*>(arrays_.counts)); });
  }

  // The counts of one group to the caller's arrays: count(k), a whole number of any type.
  template <class Count>
  void deliver(const Group& group, const Count& count) {
    with_counts([&, k_n = k_n_]<class T>(T* counts) {
      T* const out = counts + row(group.dataset, group.group);
      for (std::size_t k = 0; k < k_n; ++k) out[k] = static_cast<T>(static_cast<std::int64_t>(count(k)));
    });
    if (arrays_.statistics) tally(group, count);
  }

  template <class Count>
  void tally(const Group& group, const Count& count) {
    const std::size_t width = arrays_.max_total + 1;
    std::int32_t* table = tallies_.data() + group.dataset * (k_n_ + 1) * width;
    for (std::size_t k = 0; k < k_n_; ++k)
      ++table[k * width + static_cast<std::size_t>(static_cast<std::int64_t>(count(k)))];
    ++table[k_n_ * width + static_cast<std::size_t>(group.total)];
  }

  void exceedances(std::size_t d) {
    for (std::size_t r = d * (k_n_ + 1); r < (d + 1) * (k_n_ + 1); ++r) {
      exceedances_of(tallies_.data() + r * (arrays_.max_total + 1), arrays_.max_total,
                     arrays_.statistics + (begin_ * (k_n_ + 1) + r) * arrays_.max_total);
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

}  // namespace hbm_fast
