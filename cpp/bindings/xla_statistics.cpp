#include "bindings/xla_statistics.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "bindings/xla_call.hpp"
#include "core/limits.hpp"
#include "core/parallel.hpp"

namespace hbm_fast::xla {
namespace {

using StatisticsPointer = std::shared_ptr<const SufficientStatistics>;

struct KeptStatistics {
  std::mutex lock;
  std::map<std::int64_t, StatisticsPointer> by_key;
};

KeptStatistics& kept_statistics() {
  static KeptStatistics& all =
      *new KeptStatistics;  // never destroyed: a thread of XLA may still read it when the process exits
  return all;
}

StatisticsPointer find(std::int64_t key) {
  const std::lock_guard<std::mutex> guard(kept_statistics().lock);
  const auto place = kept_statistics().by_key.find(key);
  if (place == kept_statistics().by_key.end()) {
    throw std::logic_error(
        "the statistics of a function that another process compiled are not in this one: pass them to "
        "hbm_fast.integrations.jax.log_likelihood here, and compile again");
  }
  return place->second;
}

bool is_concentration(const double* a, std::size_t n) {
  return std::all_of(a, a + n, [](double x) { return x >= 0.0 && x <= std::numeric_limits<double>::max(); });
}

void evaluate_statistics(const CallFrame& frame) {
  if (frame.arguments.size != 1) throw std::logic_error("there must be one argument");
  const auto& concentration = *static_cast<const Buffer*>(frame.arguments.buffers[0]);
  const StatisticsPointer statistics = find(attribute(frame.attributes, "key"));
  const std::size_t k = statistics->n_categories();
  if (concentration.rank < 1 || static_cast<std::size_t>(concentration.dims[concentration.rank - 1]) != k)
    throw std::logic_error("concentration must have shape (..., K)");
  const Concentrations wide(concentration);
  const std::size_t n = size_of(concentration) / k;
  auto results = results_of(frame, concentration.type, n, k);
  const double constant = statistics->log_constant(attribute(frame.attributes, "coefficient") != 0);
  const auto n_threads = static_cast<int>(attribute(frame.attributes, "n_threads"));
  double* const value = results[0].data();
  double* const gradient = results.size() == 2 ? results[1].data() : nullptr;
  const auto run = [&](std::size_t begin, std::size_t end) {
    statistics->log_likelihood(wide.data() + begin * k, end - begin, value + begin,
                               gradient ? gradient + begin * k : nullptr);
    for (std::size_t s = begin; s < end; ++s) value[s] += constant;
  };
  parallel_for(n, lane_count, n_threads, [&](std::size_t begin, std::size_t end) {
    if (is_concentration(wide.data() + begin * k, (end - begin) * k)) return run(begin, end);
    for (std::size_t s = begin; s < end; ++s) {
      if (is_concentration(wide.data() + s * k, k)) {
        run(s, s + 1);
      } else {
        value[s] = std::numeric_limits<double>::quiet_NaN();
        if (gradient) std::fill_n(gradient + s * k, k, value[s]);
      }
    }
  });
  for (Result& result : results) result.finish();
}

}  // namespace

void keep_statistics(std::int64_t key, StatisticsPointer statistics) {
  const std::lock_guard<std::mutex> guard(kept_statistics().lock);
  kept_statistics().by_key.try_emplace(key, std::move(statistics));
}

Error* statistics_log_likelihood(CallFrame* frame) noexcept { return answer(frame, evaluate_statistics); }

}  // namespace hbm_fast::xla
