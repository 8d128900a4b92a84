// Sufficient statistics that several Python threads may read and add to. A reader keeps the ones that it found; a
// writer puts new ones in their place. No thread waits for one of the locks while it holds the GIL, but for the
// pointer's.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "bindings/array_arguments.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace hbm_fast::bindings {

class SharedStatistics {
 public:
  explicit SharedStatistics(SufficientStatistics statistics)
      : current_(std::make_shared<const SufficientStatistics>(std::move(statistics))) {}

  std::shared_ptr<const SufficientStatistics> snapshot() const {
    const std::lock_guard<std::mutex> lock(reading_);
    return current_;
  }

  // Without the GIL.
  void merge(const std::shared_ptr<const SufficientStatistics>& added);

 private:
  std::shared_ptr<const SufficientStatistics> current_;
  mutable std::mutex reading_;    // of the pointer, briefly
  std::recursive_mutex writing_;  // one merge after the other, but for those of a signal's handler
};

}  // namespace hbm_fast::bindings
