// The likelihood of every group against the sum of the logarithms of all factors in long double; statistics that
// several threads read, and an interrupt. Gradients, sparse rows and bad counts: cpp/fuzz and tests/likelihood.
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/stream.hpp"
#include "likelihood/log_pmf.hpp"
#include "math/special.hpp"
#include "statistics/sufficient_statistics.hpp"
#include "tests/check.hpp"

using namespace hbm_fast;

namespace {

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

}  // namespace

int main() {
  groups_agree_with_the_reference();
  readers_share_the_statistics();
  differences_are_differences();
  interrupted_adding();
  return check::report();
}
