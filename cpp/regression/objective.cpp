#include "regression/objective.hpp"

#include <algorithm>
#include <cmath>

#include "math/special.hpp"
#include "math/sum.hpp"

namespace hbm_fast {
namespace {

// Rows that are summed in one go: the sums do not depend on the number of threads, and there are few of them.
constexpr std::size_t smallest_chunk = 2048;
constexpr std::size_t most_chunks = 32;

// A row without counts, or without weight, has no part in the likelihood.
bool is_empty(const RegressionData& data, std::size_t n) {
  const double* x = data.counts + n * data.n_categories;
  return (data.weights != nullptr && data.weights[n] == 0.0) ||
         std::all_of(x, x + data.n_categories, [](double count) { return count == 0.0; });
}

}  // namespace

// Of a chunk of rows. The information is summed in blocks, one a pair of categories j >= l: P x P each, contiguous.
struct RegressionObjective::Sums {
  double value = 0.0;
  std::vector<double> gradient;
  std::vector<double> blocks;           // J (J + 1) / 2 blocks of P x P
  std::vector<double> precision_cross;  // J blocks of Q x P
  std::vector<double> precision;        // Q x Q
};

double log_coefficient(const RegressionData& data) {
  double result = 0.0;
  for (std::size_t n = 0; n < data.n_rows; ++n) {
    const double* x = data.counts + n * data.n_categories;
    double total = 0.0;
    double value = 0.0;
    for (std::size_t k = 0; k < data.n_categories; ++k) {
      total += x[k];
      value -= log_factorial(x[k]);
    }
    result += (data.weights != nullptr ? data.weights[n] : 1.0) * (value + log_factorial(total));
  }
  return result;
}

void linear_predictors(const RegressionData& data, std::size_t n, const double* theta, double* eta, double& zeta) {
  const std::size_t columns = data.n_columns;
  const std::size_t free = data.free();
  const double* x = data.design + n * columns;
  const double shift = data.offset != nullptr ? data.offset[n] : 0.0;
  for (std::size_t j = 0; j < free; ++j) eta[j] = shift + dot(x, theta + j * columns, columns);
  zeta = data.precision_offset != nullptr ? data.precision_offset[n] : 0.0;
  if (data.n_precision != 0)
    zeta += dot(data.precision_design + n * data.n_precision, theta + free * columns, data.n_precision);
}

RegressionObjective::RegressionObjective(const RegressionData& data, int n_threads, Poll poll)
    : data_(data),
      n_threads_(n_threads),
      poll_(std::move(poll)),
      chunk_(std::max(smallest_chunk, data.n_rows / most_chunks + 1)),
      log_coefficient_(log_coefficient(data)) {}

void RegressionObjective::add_rows(std::size_t begin, std::size_t end, const double* theta, Sums& sums) const {
  const std::size_t columns = data_.n_columns;
  const std::size_t free = data_.free();
  const std::size_t n_precision = data_.n_precision;
  const std::size_t square = columns * columns;
  sums.gradient.assign(data_.n_parameters(), 0.0);
  sums.blocks.assign(free * (free + 1) / 2 * square, 0.0);
  sums.precision_cross.assign(free * n_precision * columns, 0.0);
  sums.precision.assign(n_precision * n_precision, 0.0);
  RowDerivatives row(data_.n_categories);
  std::vector<double> eta(data_.n_categories);
  std::vector<double> products(square);
  std::vector<double> mixed(n_precision * columns);
  double zeta = 0.0;
  for (std::size_t n = begin; n < end; ++n) {
    const double weight = data_.weights != nullptr ? data_.weights[n] : 1.0;
    const double* x = data_.design + n * columns;
    const double* z = data_.precision_design + n * n_precision;
    linear_predictors(data_, n, theta, eta.data(), zeta);
    evaluate_row(data_.link, data_.counts + n * data_.n_categories, data_.n_categories, eta.data(), zeta, row);
    sums.value += weight * row.value;
    for (std::size_t p = 0; p < columns; ++p) {
      for (std::size_t q = 0; q < columns; ++q) products[p * columns + q] = weight * x[p] * x[q];
    }
    for (std::size_t q = 0; q < n_precision; ++q) {
      for (std::size_t p = 0; p < columns; ++p) mixed[q * columns + p] = weight * z[q] * x[p];
    }
    double* block = sums.blocks.data();
    for (std::size_t j = 0; j < free; ++j) {
      const double slope = weight * row.slope[j];
      double* gradient = sums.gradient.data() + j * columns;
      for (std::size_t p = 0; p < columns; ++p) gradient[p] += slope * x[p];
      for (std::size_t l = 0; l <= j; ++l, block += square) {
        const double h = row.information(j, l);
        for (std::size_t i = 0; i < square; ++i) block[i] += h * products[i];
      }
    }
    if (n_precision == 0) continue;
    for (std::size_t q = 0; q < n_precision; ++q) {
      sums.gradient[free * columns + q] += weight * row.zeta_slope * z[q];
      for (std::size_t r = 0; r < n_precision; ++r)
        sums.precision[q * n_precision + r] += weight * row.zeta_zeta * z[q] * z[r];
    }
    double* cross = sums.precision_cross.data();
    for (std::size_t j = 0; j < free; ++j, cross += mixed.size()) {
      for (std::size_t i = 0; i < mixed.size(); ++i) cross[i] += row.zeta_eta[j] * mixed[i];
    }
  }
}

double RegressionObjective::derivatives(const double* theta, double* gradient, double* information) const {
  const std::size_t columns = data_.n_columns;
  const std::size_t free = data_.free();
  const std::size_t n_precision = data_.n_precision;
  const std::size_t p = data_.n_parameters();
  std::vector<Sums> sums(std::max<std::size_t>((data_.n_rows + chunk_ - 1) / chunk_, 1));
  parallel_for(
      data_.n_rows, chunk_, n_threads_,
      [&](std::size_t begin, std::size_t end) { add_rows(begin, end, theta, sums[begin / chunk_]); }, poll_);
  Sums& all = sums.front();
  for (std::size_t c = 1; c < sums.size(); ++c) {
    const auto add = [](std::vector<double>& to, const std::vector<double>& from) {
      for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
    };
    all.value += sums[c].value;
    add(all.gradient, sums[c].gradient);
    add(all.blocks, sums[c].blocks);
    add(all.precision_cross, sums[c].precision_cross);
    add(all.precision, sums[c].precision);
  }
  std::copy(all.gradient.begin(), all.gradient.end(), gradient);
  const double* block = all.blocks.data();
  for (std::size_t j = 0; j < free; ++j) {
    for (std::size_t l = 0; l <= j; ++l, block += columns * columns) {
      for (std::size_t a = 0; a < columns; ++a) {
        for (std::size_t b = 0; b < columns; ++b) {
          const double h = block[a * columns + b];
          information[(j * columns + a) * p + (l * columns + b)] = h;
          information[(l * columns + b) * p + (j * columns + a)] = h;
        }
      }
    }
  }
  for (std::size_t q = 0; q < n_precision; ++q) {
    const std::size_t at = free * columns + q;
    for (std::size_t j = 0; j < free; ++j) {
      for (std::size_t a = 0; a < columns; ++a) {
        const double h = all.precision_cross[(j * n_precision + q) * columns + a];
        information[at * p + j * columns + a] = h;
        information[(j * columns + a) * p + at] = h;
      }
    }
    for (std::size_t r = 0; r < n_precision; ++r)
      information[at * p + free * columns + r] = all.precision[q * n_precision + r];
  }
  subtract_penalty(theta, gradient, information);
  return all.value + log_coefficient_ - penalty(theta);
}

double RegressionObjective::value(const double* theta, std::size_t most_rows) const {
  const std::size_t step = std::max<std::size_t>(data_.n_rows / most_rows, 1);
  std::vector<double> scratch(2 * data_.n_categories);
  double zeta = 0.0;
  double sum = log_coefficient_ - penalty(theta);
  for (std::size_t n = 0; n < data_.n_rows; n += step) {
    linear_predictors(data_, n, theta, scratch.data(), zeta);
    sum += (data_.weights != nullptr ? data_.weights[n] : 1.0) *
           row_value(data_.link, data_.counts + n * data_.n_categories, data_.n_categories, scratch.data(), zeta,
                     scratch.data() + data_.n_categories);
  }
  return sum;
}

// The quadratic form is penalty (x) C over the categories: C is the identity for the log link, and I - 11'/K for the
// softmax, which is the same penalty on the coefficients that sum to zero over the categories, whatever the reference.
double RegressionObjective::penalty(const double* theta) const {
  const std::size_t columns = data_.n_columns;
  const std::size_t free = data_.free();
  double result = 0.0;
  if (data_.penalty != nullptr) {
    std::vector<double> sum(columns);
    const auto form = [&](const double* v) {
      double total = 0.0;
      for (std::size_t a = 0; a < columns; ++a) total += v[a] * dot(data_.penalty + a * columns, v, columns);
      return total;
    };
    for (std::size_t j = 0; j < free; ++j) {
      result += form(theta + j * columns);
      for (std::size_t a = 0; a < columns; ++a) sum[a] += theta[j * columns + a];
    }
    if (data_.link != Link::log) result -= form(sum.data()) / static_cast<double>(data_.n_categories);
  }
  if (data_.precision_penalty != nullptr) {
    const double* g = theta + free * columns;
    for (std::size_t q = 0; q < data_.n_precision; ++q)
      result += g[q] * dot(data_.precision_penalty + q * data_.n_precision, g, data_.n_precision);
  }
  return 0.5 * result;
}

void RegressionObjective::subtract_penalty(const double* theta, double* gradient, double* information) const {
  const std::size_t columns = data_.n_columns;
  const std::size_t free = data_.free();
  const std::size_t p = data_.n_parameters();
  const double shared = data_.link == Link::log ? 0.0 : 1.0 / static_cast<double>(data_.n_categories);
  if (data_.penalty != nullptr) {
    for (std::size_t j = 0; j < free; ++j) {
      for (std::size_t l = 0; l < free; ++l) {
        const double c = (j == l ? 1.0 : 0.0) - shared;
        for (std::size_t a = 0; a < columns; ++a) {
          gradient[j * columns + a] -= c * dot(data_.penalty + a * columns, theta + l * columns, columns);
          for (std::size_t b = 0; b < columns; ++b)
            information[(j * columns + a) * p + l * columns + b] += c * data_.penalty[a * columns + b];
        }
      }
    }
  }
  if (data_.precision_penalty != nullptr) {
    const std::size_t first = free * columns;
    for (std::size_t q = 0; q < data_.n_precision; ++q) {
      gradient[first + q] -= dot(data_.precision_penalty + q * data_.n_precision, theta + first, data_.n_precision);
      for (std::size_t r = 0; r < data_.n_precision; ++r)
        information[(first + q) * p + first + r] += data_.precision_penalty[q * data_.n_precision + r];
    }
  }
}

RegressionObjective::Change RegressionObjective::change(const double* theta, const double* step) const {
  const std::size_t columns = data_.n_columns;
  const std::size_t free = data_.free();
  const std::size_t k = data_.n_categories;
  std::vector<double> before(k);
  std::vector<double> after(k);
  Change result{0.0, 0.0};
  for (std::size_t n = 0; n < data_.n_rows; ++n) {
    if (is_empty(data_, n)) continue;
    const double* x = data_.design + n * columns;
    double zeta = 0.0;
    linear_predictors(data_, n, theta, before.data(), zeta);
    if (free < k) before[free] = 0.0;
    double moved = 0.0;
    after = before;
    for (std::size_t j = 0; j < free; ++j) after[j] += dot(x, step + j * columns, columns);
    const double shift = log_sum_exp(after) - log_sum_exp(before);
    double precision = data_.link == Link::log ? shift : 0.0;
    if (data_.n_precision != 0)
      precision = dot(data_.precision_design + n * data_.n_precision, step + free * columns, data_.n_precision);
    for (std::size_t j = 0; j < k; ++j) moved = std::max(moved, std::abs(after[j] - before[j] - shift));
    result.mean = std::max(result.mean, moved);
    if (std::abs(precision) > std::abs(result.precision)) result.precision = precision;
  }
  return result;
}

double RegressionObjective::longest_change(const double* step) const {
  const std::size_t columns = data_.n_columns;
  const std::size_t free = data_.free();
  double longest = 0.0;
  for (std::size_t n = 0; n < data_.n_rows; ++n) {
    if (is_empty(data_, n)) continue;
    const double* x = data_.design + n * columns;
    for (std::size_t j = 0; j < free; ++j) longest = std::max(longest, std::abs(dot(x, step + j * columns, columns)));
    if (data_.n_precision != 0) {
      const double* z = data_.precision_design + n * data_.n_precision;
      longest = std::max(longest, std::abs(dot(z, step + free * columns, data_.n_precision)));
    }
  }
  return longest;
}

}  // namespace hbm_fast
