#include "regression/batch.hpp"

#include <limits>

#include "math/cholesky.hpp"

namespace hbm_fast {
namespace {

// The columns of a table that have counts, the last of them the reference.
std::vector<double> seen_columns(const double* counts, std::size_t n_rows, std::size_t n_categories,
                                 std::size_t& n_seen) {
  std::vector<std::size_t> seen;
  for (std::size_t k = 0; k < n_categories; ++k) {
    for (std::size_t n = 0; n < n_rows; ++n) {
      if (counts[n * n_categories + k] > 0.0) {
        seen.push_back(k);
        break;
      }
    }
  }
  n_seen = seen.size();
  std::vector<double> result(n_rows * n_seen);
  for (std::size_t n = 0; n < n_rows; ++n) {
    for (std::size_t i = 0; i < n_seen; ++i) result[n * n_seen + i] = counts[n * n_categories + seen[i]];
  }
  return result;
}

// The larger model's coefficients with the smaller one's predictors.
std::vector<double> enlarged(const std::vector<double>& theta, const RegressionData& small,
                             const RegressionData& large) {
  std::vector<double> result(large.n_parameters(), 0.0);
  for (std::size_t j = 0; j < large.free(); ++j) {
    for (std::size_t n = 0; n < large.n_rows; ++n) {
      double eta = 0.0;
      for (std::size_t p = 0; p < small.n_columns; ++p)
        eta += small.design[n * small.n_columns + p] * theta[j * small.n_columns + p];
      for (std::size_t p = 0; p < large.n_columns; ++p)
        result[j * large.n_columns + p] +=
            large.design[n * large.n_columns + p] * eta / static_cast<double>(large.n_rows);
    }
  }
  for (std::size_t q = 0; q < large.n_precision; ++q)
    result[large.free() * large.n_columns + q] = theta[small.free() * small.n_columns + q];
  return result;
}

// 1 / variance of the parameter at `index`, from the information of all; 0 where that is singular.
double profiled(std::vector<double> information, std::size_t p, std::size_t index) {
  if (!cholesky(information.data(), p)) return 0.0;
  std::vector<double> unit(p, 0.0);
  unit[index] = 1.0;
  cholesky_solve(information.data(), p, unit.data());
  return 1.0 / unit[index];
}

void fit_table(const BatchData& batch, const double* counts, std::size_t b, const BatchResult& result,
               const Poll& poll) {
  std::size_t k = 0;
  const auto table = seen_columns(counts, batch.n_rows, static_cast<std::size_t>(batch.categories[b]), k);
  result.n_categories[b] = static_cast<std::int64_t>(k);
  const std::size_t n_precision = batch.precision.n_columns;
  if (k < 2) {
    result.value[b] = result.null_value[b] = result.precision_information[b] = 0.0;
    result.ending[b] = result.null_ending[b] = -1;
    for (std::size_t q = 0; q < n_precision; ++q)
      result.precision[b * n_precision + q] = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  const auto model = [&](const Design& design) {
    return RegressionData{.link = Link::softmax,
                          .n_rows = batch.n_rows,
                          .n_categories = k,
                          .n_columns = design.n_columns,
                          .n_precision = n_precision,
                          .counts = table.data(),
                          .design = design.values,
                          .precision_design = batch.precision.values,
                          .weights = nullptr,
                          .offset = nullptr,
                          .precision_offset = batch.precision_offset,
                          .penalty = nullptr,
                          .precision_penalty = batch.precision_penalty};
  };
  const RegressionObjective small(model(batch.null), 1, poll);
  const RegressionObjective large(model(batch.mean), 1, poll);
  const auto nested = maximize(small, pooled_start(small, batch.null.unit, batch.precision.unit), batch.max_iterations);
  const auto whole = maximize(large, enlarged(nested.theta, small.data(), large.data()), batch.max_iterations);
  result.value[b] = whole.value;
  result.null_value[b] = nested.value;
  result.ending[b] = static_cast<std::int64_t>(whole.ending);
  result.null_ending[b] = static_cast<std::int64_t>(nested.ending);
  const std::size_t first = large.data().free() * batch.mean.n_columns;
  for (std::size_t q = 0; q < n_precision; ++q) result.precision[b * n_precision + q] = whole.theta[first + q];
  result.precision_information[b] = profiled(whole.information, whole.theta.size(), first);
}

}  // namespace

void fit_batch(const BatchData& data, const BatchResult& result, int n_threads, const Poll& poll) {
  std::vector<std::size_t> begins(data.n_tables);
  std::size_t at = 0;
  for (std::size_t b = 0; b < data.n_tables; ++b) {
    begins[b] = at;
    at += data.n_rows * static_cast<std::size_t>(data.categories[b]);
  }
  TimedPoll timed(poll);
  parallel_for(
      data.n_tables, 1, n_threads,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t b = begin; b < end; ++b) fit_table(data, data.counts + begins[b], b, result, [&] { timed(); });
      },
      poll);
}

}  // namespace hbm_fast
