// The likelihood of every group, dense and sparse, and the sufficient statistics, against the sum of the logarithms of
// all factors in long double.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <vector>

#include "core/stream.hpp"
#include "likelihood/log_pmf.hpp"
#include "math/special.hpp"
#include "statistics/sufficient_statistics.hpp"
#include "tests/check.hpp"

using namespace hbm_fast;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

long double rising(double a, std::int64_t n) {
  long double sum = 0.0L;
  for (std::int64_t j = 0; j < n; ++j) sum += std::log(static_cast<long double>(a) + j);
  return sum;
}

// Obviously right: every factor of the probability, one by one.
double reference(const std::int32_t* x, const double* a, std::size_t n_categories) {
  long double value = 0.0L, total_a = 0.0L;
  std::int64_t total = 0;
  for (std::size_t k = 0; k < n_categories; ++k) {
    value += rising(a[k], x[k]) - rising(1.0, x[k]);
    total_a += a[k];
    total += x[k];
  }
  for (std::int64_t j = 0; j < total; ++j) value -= std::log(total_a + j) - std::log(1.0L + j);
  return static_cast<double>(value);
}

struct Table {
  std::size_t n_rows, n_categories;
  std::vector<std::int32_t> counts;
  std::vector<double> concentration;  // one row for each group

  CountsView view() const {
    return {counts.data(), CountType::int32, n_rows, n_categories, static_cast<std::ptrdiff_t>(n_categories), 1};
  }
  Rows rows() const {
    const auto k = static_cast<std::ptrdiff_t>(n_categories);
    return {view(), concentration.data(), 1, {n_rows}, {k}, {k}};
  }
};

Table random_table(std::size_t n_rows, std::size_t n_categories, int largest) {
  Table table{n_rows, n_categories, {}, {}};
  Stream stream({1, 2}, Site::group, n_rows, n_categories);
  for (std::size_t i = 0; i < n_rows * n_categories; ++i) {
    const double u = stream.uniform();  // many zeros, a few large
    table.counts.push_back(static_cast<std::int32_t>(u * u * u * largest));
    table.concentration.push_back(std::exp(12.0 * stream.uniform() - 6.0));
  }
  return table;
}

void groups_agree_with_the_reference() {
  for (const std::size_t n_categories : {1, 2, 3, 10, 67}) {
    for (const int largest : {1, 25, 300}) {
      const Table table = random_table(203, n_categories, largest);
      std::vector<double> values(table.n_rows), two_threads(table.n_rows);
      log_pmf(table.rows(), true, values.data(), 1, {});
      log_pmf(table.rows(), true, two_threads.data(), 2, {});
      CHECK(values == two_threads);
      for (std::size_t n = 0; n < table.n_rows; ++n) {
        const double expected =
            reference(&table.counts[n * n_categories], &table.concentration[n * n_categories], n_categories);
        CHECK_CLOSE(values[n], expected, 1e-12);
      }
    }
  }
}

void gradient_is_the_difference_of_digammas() {
  const Table table = random_table(50, 4, 40);
  std::vector<double> values(table.n_rows), again(table.n_rows), gradient(table.n_rows * 4);
  log_pmf(table.rows(), true, values.data(), 1, {});
  log_pmf_gradient(table.rows(), true, again.data(), gradient.data(), 1, {});
  for (std::size_t n = 0; n < table.n_rows; ++n) {
    CHECK_CLOSE(again[n], values[n], 1e-12);
    double total_a = 0.0, total = 0.0;
    for (std::size_t k = 0; k < 4; ++k) total_a += table.concentration[4 * n + k], total += table.counts[4 * n + k];
    for (std::size_t k = 0; k < 4; ++k) {
      long double slope = 0.0L;
      for (int j = 0; j < table.counts[4 * n + k]; ++j) slope += 1.0L / (table.concentration[4 * n + k] + j);
      for (int j = 0; j < total; ++j) slope -= 1.0L / (total_a + j);
      CHECK_CLOSE(gradient[4 * n + k], static_cast<double>(slope), 1e-11);
    }
  }
}

void sparse_rows_agree_with_dense_ones() {
  Table table = random_table(101, 30, 60);
  std::fill(table.concentration.begin(), table.concentration.end(), 0.3);
  std::vector<std::int32_t> stored, columns, offsets{0};
  for (std::size_t n = 0; n < table.n_rows; ++n) {
    for (std::size_t k = 0; k < 30; ++k) {
      if (table.counts[30 * n + k] == 0) continue;
      stored.push_back(table.counts[30 * n + k]);
      columns.push_back(static_cast<std::int32_t>(k));
    }
    offsets.push_back(static_cast<std::int32_t>(stored.size()));
  }
  const CountsView entries{
      stored.data(), CountType::int32, 1, stored.size(), static_cast<std::ptrdiff_t>(stored.size()), 1};
  std::vector<double> dense(table.n_rows), sparse(table.n_rows);
  log_pmf(table.rows(), true, dense.data(), 1, {});
  log_pmf(SparseRows<std::int32_t>{entries, columns.data(), offsets.data(), table.n_rows, 30,
                                   table.concentration.data(), 0},
          true, sparse.data(), 2, {});
  for (std::size_t n = 0; n < table.n_rows; ++n) CHECK_CLOSE(sparse[n], dense[n], 1e-12);

  SufficientStatistics from_dense(30), from_sparse(30);
  from_dense.add(table.view());
  from_sparse.add_sparse(entries, columns.data(), offsets.data(), table.n_rows);
  CHECK(from_dense.log_likelihood(table.concentration.data()) ==
        from_sparse.log_likelihood(table.concentration.data()));
}

void statistics_are_the_sum_over_groups() {
  for (const int largest : {12, 100000}) {  // exceedance tables, then pairs
    Table table = random_table(64, 5, largest);
    for (std::size_t n = 1; n < table.n_rows; ++n) {
      std::copy_n(table.concentration.begin(), 5, table.concentration.begin() + static_cast<std::ptrdiff_t>(5 * n));
    }
    std::vector<double> values(table.n_rows);
    log_pmf(table.rows(), true, values.data(), 1, {});
    double sum = 0.0;
    for (const double value : values) sum += value;
    SufficientStatistics whole(5), first(5), second(5);
    whole.add(table.view());
    CountsView half = table.view();
    half.n_rows = 20;
    first.add(half);
    half.data = table.counts.data() + 100;
    half.n_rows = 44;
    second.add(half);
    first.merge(second);
    const double* a = table.concentration.data();
    double gradient[5], up[5], diagonal[5];
    const double value = whole.log_likelihood(a, gradient);
    CHECK_CLOSE(value + whole.log_coefficient(), sum, 1e-10);
    CHECK_CLOSE(first.log_likelihood(a), value, 1e-13);
    CHECK(first.n_groups() == 64.0);
    const double constant = whole.hessian(a, diagonal);
    for (std::size_t k = 0; k < 5; ++k) {  // the Hessian's row by differences of the gradient
      std::vector<double> moved(a, a + 5);
      const double h = 1e-6 * moved[k];
      moved[k] += h;
      whole.log_likelihood(moved.data(), up);
      CHECK_CLOSE((up[k] - gradient[k]) / h, diagonal[k] + constant, 1e-3);
    }
  }
}

// For the thread sanitizer: the first reads of a table may come from several threads at once.
void readers_share_the_statistics() {
  const Table table = random_table(500, 4, 25);
  SufficientStatistics statistics(4);
  statistics.add(table.view());
  std::vector<double> values(4);
  std::atomic<std::size_t> n_ready{0};
  std::vector<std::thread> readers;
  for (double& value : values) {
    readers.emplace_back([&] {
      n_ready.fetch_add(1, std::memory_order_relaxed);
      while (n_ready.load(std::memory_order_relaxed) < values.size()) std::this_thread::yield();
      for (std::size_t k = 0; k < 4; ++k) {
        for (const double above : statistics.exceedances(k)) value += above;
      }
      value += statistics.log_likelihood(table.concentration.data());
    });
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(values == std::vector<double>(values.size(), values[0]));
}

void absent_categories_and_bad_input() {
  const std::int32_t counts[] = {3, 0, 2};
  const double absent[] = {1.0, 0.0, 2.0}, impossible[] = {0.0, 1.0, 2.0}, negative[] = {1.0, -1.0, 2.0};
  const CountsView view{counts, CountType::int32, 1, 3, 3, 1};
  double value = 0.0;
  log_pmf(Rows{view, absent, 1, {1}, {3}, {3}}, true, &value, 1, {});
  const std::int32_t two[] = {3, 2};
  const double present[] = {1.0, 2.0};
  CHECK_CLOSE(value, reference(two, present, 2), 1e-13);
  log_pmf(Rows{view, impossible, 1, {1}, {3}, {3}}, true, &value, 1, {});
  CHECK(value == -infinity);
  const auto refused = [&](const CountsView& x, const double* a) {
    try {
      log_pmf(Rows{x, a, 1, {1}, {3}, {3}}, true, &value, 1, {});
    } catch (const std::invalid_argument&) {
      return true;
    }
    return false;
  };
  CHECK(refused(view, negative));
  const std::int32_t bad[] = {3, -1, 2};
  CHECK(refused({bad, CountType::int32, 1, 3, 3, 1}, absent));
  SufficientStatistics statistics(3);
  bool thrown = false;
  try {
    statistics.add({bad, CountType::int32, 1, 3, 3, 1});
  } catch (const std::invalid_argument&) {
    thrown = true;
  }
  CHECK(thrown);
  CHECK(statistics.n_groups() == 0.0);
}

void differences_are_differences() {
  for (const double a : {1e-300, 1e-8, 0.3, 7.9, 8.0, 1e3}) {
    for (const int n : {0, 1, 2, 16, 17, 500}) {
      CHECK_CLOSE(log_rising(a, n), static_cast<double>(rising(a, n)), 1e-13);
    }
  }
  CHECK_CLOSE(log_rising(1e15, 20.0), 20.0 * std::log(1e15) + 190.0 / 1e15, 1e-15);
  long double digammas = 0.0L, trigammas = 0.0L;
  for (int j = 0; j < 1000; ++j) {
    digammas += 1.0L / (0.5L + j);
    trigammas += 1.0L / ((0.5L + j) * (0.5L + j));
  }
  CHECK_CLOSE(digamma_difference(0.5, 1000.0), static_cast<double>(digammas), 1e-14);
  CHECK_CLOSE(trigamma_difference(0.5, 1000.0), static_cast<double>(trigammas), 1e-14);
}

// One bad count among rows that share a concentration, small and large, with factorials that are looked up.
template <class T>
void refuses_a_count(T bad) {
  constexpr std::size_t n_rows = 200;
  const double concentrations[2][3] = {{5.0, 1.0, 1.0}, {0.3, 2.0, 0.7}};
  for (const auto& a : concentrations) {
    for (const bool coefficient : {true, false}) {
      for (const T other : {T{5}, std::numeric_limits<T>::max()}) {
        std::vector<T> counts(3 * n_rows, T{5});
        std::vector<std::int32_t> columns, offsets{0};
        for (std::size_t i = 0; i < counts.size(); ++i) columns.push_back(static_cast<std::int32_t>(i % 3));
        for (std::size_t n = 1; n <= n_rows; ++n) offsets.push_back(static_cast<std::int32_t>(3 * n));
        counts[3 * 71 + 1] = other;
        counts[3 * 71 + 2] = bad;
        const auto type = std::is_same_v<T, std::int8_t>    ? CountType::int8
                          : std::is_same_v<T, std::int32_t> ? CountType::int32
                          : std::is_same_v<T, std::int64_t> ? CountType::int64
                                                            : CountType::uint64;
        std::vector<double> out(n_rows), gradient(3 * n_rows);
        const Rows rows{{counts.data(), type, 0, 3, 0, 1}, a, 1, {n_rows}, {3}, {0}};
        CHECK(check::throws<std::invalid_argument>([&] { log_pmf(rows, coefficient, out.data(), 1, {}); }));
        CHECK(check::throws<std::invalid_argument>(
            [&] { log_pmf_gradient(rows, coefficient, out.data(), gradient.data(), 2, {}); }));
        const CountsView stored{counts.data(), type, 1, counts.size(), 0, 1};
        CHECK(check::throws<std::invalid_argument>([&] {
          log_pmf(SparseRows<std::int32_t>{stored, columns.data(), offsets.data(), n_rows, 3, a, 0}, coefficient,
                  out.data(), 1, {});
        }));
        SufficientStatistics statistics(3);
        CHECK(check::throws<std::invalid_argument>([&] { statistics.add({counts.data(), type, n_rows, 3, 3, 1}); }));
        CHECK(check::throws<std::invalid_argument>(
            [&] { statistics.add_sparse(stored, columns.data(), offsets.data(), n_rows); }));
        CHECK(statistics.n_groups() == 0.0);
      }
    }
  }
}

void no_categories() {
  const std::int32_t none = 0;
  const double a = 0.0;
  std::vector<double> out(100, -1.0);
  log_pmf(Rows{{&none, CountType::int32, 0, 0, 0, 0}, &a, 0, {100}, {0}, {0}}, true, out.data(), 2, {});
  CHECK(std::all_of(out.begin(), out.end(), [](double value) { return value == 0.0; }));
  SufficientStatistics statistics(0);
  statistics.add({&none, CountType::int32, 3, 0, 0, 0});
  CHECK(statistics.n_groups() == 3.0);
  CHECK(statistics.log_likelihood(&a) == 0.0);
}

// An interrupt while groups are added or merged leaves the statistics as they were.
void interrupted_adding() {
  constexpr std::size_t n_rows = 300000;
  std::vector<std::int64_t> counts(2 * n_rows);
  for (std::size_t i = 0; i < counts.size(); ++i)
    counts[i] = static_cast<std::int64_t>(mix(i) >> 25);  // all apart: slow
  std::vector<double> weights(n_rows, 1.0);
  const Poll interrupt = [] { throw std::logic_error("interrupt"); };
  SufficientStatistics statistics(2);
  statistics.add({counts.data(), CountType::int64, 10, 2, 2, 1});
  const double before = statistics.log_coefficient();
  const CountsView all{counts.data(), CountType::int64, n_rows, 2, 2, 1};
  CHECK(check::throws<std::logic_error>([&] { statistics.add(all, nullptr, interrupt); }));
  CHECK(check::throws<std::logic_error>([&] { statistics.add(all, weights.data(), interrupt); }));
  SufficientStatistics many(2);
  many.add(all);
  CHECK(check::throws<std::logic_error>([&] { statistics.merge(many, interrupt); }));
  CHECK(statistics.n_groups() == 10.0 && statistics.log_coefficient() == before);
}

void states_that_no_counts_give() {
  const auto restored = [](std::vector<double> values, std::vector<double> times, std::vector<double> totals,
                           std::vector<double> of_totals, double n_groups) {
    return SufficientStatistics::restore({{values, times}, {totals, of_totals}}, n_groups);
  };
  CHECK(restored({1.0, 3.0}, {2.0, 1.0}, {1.0, 3.0}, {2.0, 1.0}, 4.0).n_groups() == 4.0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto refuses = [&](std::vector<double> values, std::vector<double> times, double n_groups) {
    return check::throws<std::invalid_argument>([&] { restored(values, times, values, times, n_groups); });
  };
  CHECK(refuses({1.0, nan}, {1.0, 1.0}, 4.0));
  CHECK(refuses({1.0, -3.0}, {1.0, 1.0}, 4.0));
  CHECK(refuses({3.0, 1.0}, {1.0, 1.0}, 4.0));
  CHECK(refuses({1.5}, {1.0}, 4.0));
  CHECK(refuses({1e300}, {1.0}, 4.0));
  CHECK(refuses({1.0}, {nan}, 4.0));
  CHECK(refuses({1.0}, {-1.0}, 4.0));
  CHECK(refuses({1.0}, {5.0}, 4.0));  // more groups than there are
  CHECK(refuses({1.0}, {1.0}, nan));
  CHECK(check::throws<std::invalid_argument>(
      [&] { restored({2.0}, {1.0}, {1.0}, {1.0}, 4.0); }));  // totals of other counts
}

}  // namespace

int main() {
  groups_agree_with_the_reference();
  gradient_is_the_difference_of_digammas();
  sparse_rows_agree_with_dense_ones();
  statistics_are_the_sum_over_groups();
  readers_share_the_statistics();
  absent_categories_and_bad_input();
  differences_are_differences();
  refuses_a_count<std::int8_t>(-128);
  refuses_a_count<std::int32_t>(std::numeric_limits<std::int32_t>::min());
  refuses_a_count<std::int32_t>(-1);
  refuses_a_count<std::int64_t>(std::numeric_limits<std::int64_t>::min());
  refuses_a_count<std::int64_t>(-1'000'000);
  refuses_a_count<std::int64_t>(std::numeric_limits<std::int64_t>::max());
  refuses_a_count<std::uint64_t>(~std::uint64_t{0} - (std::uint64_t{1} << 30));
  no_categories();
  interrupted_adding();
  states_that_no_counts_give();
  return check::report();
}
