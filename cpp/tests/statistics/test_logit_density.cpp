// The density of two categories in (log alpha, logit beta) against the same sums written out; its slope against
// differences; far tails; the same bits for any number of threads and any place in a call.
#include <cmath>
#include <vector>

#include "statistics/logit_density.hpp"
#include "tests/check.hpp"

using namespace hbm_fast;

namespace {

constexpr std::size_t longest = 13;
constexpr double prior[2] = {0.6, 1.5};

// Six groups: (3, 0), (0, 4), (7, 2), (1, 1), (12, 0), (0, 1).
std::vector<double> tables() {
  const int rows[6][2] = {{3, 0}, {0, 4}, {7, 2}, {1, 1}, {12, 0}, {0, 1}};
  std::vector<double> result(3 * longest, 0.0);
  for (const auto& row : rows) {
    const int values[3] = {row[0], row[1], row[0] + row[1]};
    for (std::size_t k = 0; k < 3; ++k) {
      for (int j = 0; j < values[k]; ++j) result[k * longest + static_cast<std::size_t>(j)] += 1.0;
    }
  }
  return result;
}

long double written_out(const std::vector<double>& table, double t, double u) {
  const long double alpha = std::exp(static_cast<long double>(t));
  const long double beta[2] = {1.0L / (1.0L + std::exp(static_cast<long double>(u))),
                               1.0L / (1.0L + std::exp(-static_cast<long double>(u)))};
  long double sum = 0.0L;
  for (std::size_t k = 0; k < 2; ++k) sum += prior[k] * std::log(beta[k]);
  for (std::size_t j = 0; j < longest; ++j) {
    const auto step = static_cast<long double>(j);
    for (std::size_t k = 0; k < 2; ++k) sum += table[k * longest + j] * std::log(alpha * beta[k] + step);
    sum -= table[2 * longest + j] * std::log(alpha + step);
  }
  return sum;
}

void agrees_with_the_sums() {
  const auto table = tables();
  std::vector<double> t, u;
  for (double a = -90.0; a < 69.0; a += 3.7) {
    for (double b = -200.0; b <= 200.0; b += 12.3) t.push_back(a), u.push_back(b);
  }
  std::vector<double> value(t.size()), slope(t.size());
  logit_density(table.data(), longest, prior, t.data(), u.data(), t.size(), value.data(), slope.data(), 1, {});
  for (std::size_t i = 0; i < t.size(); ++i) {
    CHECK_CLOSE(value[i], static_cast<double>(written_out(table, t[i], u[i])), 1e-13);
    const double h = 1e-4;
    const auto difference = (written_out(table, t[i], u[i] + h) - written_out(table, t[i], u[i] - h)) / (2.0L * h);
    CHECK_CLOSE(slope[i], static_cast<double>(difference), 1e-6);
  }
}

void threads_and_places_change_nothing() {
  const auto table = tables();
  std::vector<double> t(5000), u(5000), one(5000), many(5000);
  for (std::size_t i = 0; i < t.size(); ++i) {
    t[i] = -8.0 + 0.002 * static_cast<double>(i);
    u[i] = 0.9 * t[i];
  }
  logit_density(table.data(), longest, prior, t.data(), u.data(), t.size(), one.data(), nullptr, 1, {});
  logit_density(table.data(), longest, prior, t.data(), u.data(), t.size(), many.data(), nullptr, 4, {});
  CHECK(one == many);
  logit_density(table.data(), longest, prior, t.data() + 77, u.data() + 77, 1, many.data(), nullptr, 1, {});
  CHECK(many[0] == one[77]);
}

void far_away() {
  const auto table = tables();
  const double t[3] = {-1e4, 1e4, 80.0};
  const double u[3] = {0.0, 1.0, 1.0};
  double value[3];
  logit_density(table.data(), longest, prior, t, u, 3, value, nullptr, 1, {});
  // alpha to the power of (groups that show each category) - (groups)
  CHECK_CLOSE(value[0] / -1e4, 2.0, 0.01);
  CHECK(value[1] == value[2]);
  logit_density(nullptr, 0, prior, t, u, 1, value, nullptr, 1, {});  // no data: the prior
  CHECK_CLOSE(value[0], 2.1 * std::log(0.5), 1e-15);
}

}  // namespace

int main() {
  agrees_with_the_sums();
  threads_and_places_change_nothing();
  far_away();
  return check::report();
}
