// The datasets that a sampler takes: statistics, or arrays of counts of which statistics are built.
#pragma once

#include <memory>
#include <vector>

#include "bindings/shared_statistics.hpp"
#include "core/limits.hpp"

namespace hbm_fast::bindings {

// Statistics as they are given, or built here from counts (N, K), many datasets at once.
class Datasets {
 public:
  Datasets(const py::list& given, std::size_t n_categories)
      : n_categories_(n_categories),
        counts_(given.size()),
        shared_(given.size()),
        built_(given.size()),
        all_(given.size()) {
    for (std::size_t b = 0; b < given.size(); ++b) {
      if (py::isinstance<py::array>(given[b])) {
        counts_[b] = to_counts(py::reinterpret_borrow<py::array>(given[b]));
      } else {
        if (!py::isinstance<SharedStatistics>(given[b])) {
          throw py::type_error("each dataset must be an integer array (N, K) or SufficientStatistics");
        }
        shared_[b] = given[b].cast<const SharedStatistics&>().snapshot();
        all_[b] = shared_[b].get();
        refuse_if(all_[b]->n_categories() != n_categories, "statistics and model differ in K");
        refuse_if(!(all_[b]->column(n_categories).sum() <= largest_weighted_sum),
                  "weights and counts must be such that the sum of weight * count is at most 1e+18");
      }
    }
  }

  // Without the GIL; the arrays must stay alive.
  const std::vector<const SufficientStatistics*>& build(int n_threads) {
    const Poll poll = poll_signals;
    TimedPoll timed_poll(poll);
    const Poll poll_of_any = [&] { timed_poll(); };
    parallel_for(
        all_.size(), 16, n_threads,
        [&](std::size_t begin, std::size_t end) {
          for (std::size_t b = begin; b < end; ++b) {
            if (all_[b] != nullptr) continue;
            built_[b] = std::make_unique<SufficientStatistics>(n_categories_);
            built_[b]->add(counts_[b], nullptr, poll_of_any);
            all_[b] = built_[b].get();
          }
        },
        poll_of_any);
    return all_;
  }

 private:
  std::size_t n_categories_;
  std::vector<CountsView> counts_;
  std::vector<std::shared_ptr<const SufficientStatistics>> shared_;
  std::vector<std::unique_ptr<SufficientStatistics>> built_;
  std::vector<const SufficientStatistics*> all_;
};

}  // namespace hbm_fast::bindings
