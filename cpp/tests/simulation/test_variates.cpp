// Variates at the edges of their arguments, and first moments; their distributions are tested in
// tests/simulation/test_variates.py.
#include "simulation/variates.hpp"

#include <cmath>
#include <vector>

#include "tests/check.hpp"

using namespace hbm_fast;

namespace {

constexpr Key key{11, 12};

void streams() {
  Stream a(key, Site::chain, 3, 4);
  Stream same(Address::of(key, Site::chain, 3).group(4));
  Stream other_group(key, Site::chain, 3, 5);
  Stream other_dataset(key, Site::chain, 4, 4);
  Stream other_site(key, Site::theta, 3, 4);
  Stream other_key(Key{12, 11}, Site::chain, 3, 4);
  const auto word = a.bits();
  CHECK(word == same.bits());
  for (Stream* stream : {&other_group, &other_dataset, &other_site, &other_key}) CHECK(word != stream->bits());
  double sum = 0.0;
  for (int i = 0; i < 100000; ++i) {
    const double u = a.uniform();
    if (!(u > 0.0 && u < 1.0)) CHECK(false);
    sum += u;
  }
  CHECK_CLOSE(sum / 100000, 0.5, 0.006);
}

void continuous() {
  Stream stream(key, Site::chain, 0);
  double sum = 0.0;
  double squares = 0.0;
  for (int i = 0; i < 200000; ++i) {
    const double x = normal(stream);
    sum += x;
    squares += x * x;
  }
  CHECK_CLOSE(sum / 200000, 0.0, 0.014);
  CHECK_CLOSE(squares / 200000, 1.0, 0.02);
  for (const double shape : {1e-300, 1e-8, 0.3, 1.0, 2.5, 1e4, 1e9, 1e16, 1e300}) {
    double total = 0.0;
    for (int i = 0; i < 20000; ++i) {
      const double x = log_gamma_variate(stream, shape);
      if (!std::isfinite(x)) CHECK(false);
      total += std::exp(x - std::log(shape));
    }
    if (shape > 0.1) CHECK_CLOSE(total / 20000, 1.0, 6.0 / std::sqrt(20000 * shape) + 1e-6);
  }
  const std::vector<double> concentration{1e-300, 0.0, 3.0, 1e-300};
  for (int i = 0; i < 1000; ++i) {
    double log_theta[4];
    log_dirichlet(stream, concentration.data(), 4, log_theta);
    CHECK(std::isinf(log_theta[1]) && log_theta[1] < 0.0);
    double sum_theta = 0.0;
    for (const double value : log_theta) sum_theta += std::exp(value);
    CHECK_CLOSE(sum_theta, 1.0, 4e-16);
  }
}

void discrete() {
  Stream stream(key, Site::chain, 1);
  for (int i = 0; i < 2000; ++i) {
    const auto x = uniform_integer(stream, -3, 5);
    if (x < -3 || x > 5) CHECK(false);
  }
  CHECK(uniform_integer(stream, 7, 7) == 7);
  CHECK(binomial(stream, 0, 0.5) == 0);
  CHECK(binomial(stream, 9, 0.0) == 0);
  CHECK(binomial(stream, 9, 1.0) == 9);
  CHECK(binomial_odds(stream, 9, 1e-320, 1.0) == 0);
  CHECK(binomial_odds(stream, 9, 1.0, 1e-320) == 9);
  for (const std::size_t k : {std::size_t{1}, std::size_t{2}, std::size_t{32}, std::size_t{33}, std::size_t{1000}}) {
    std::vector<double> weights(k, 0.0), scratch(2 * k);
    std::vector<std::int64_t> counts(k);
    for (std::size_t i = 0; i < k; i += 3) weights[i] = 1.0 + static_cast<double>(i);
    for (const std::int64_t total : {0LL, 1LL, 50LL, 2000000000LL}) {
      multinomial(stream, total, weights.data(), k, scratch.data(), counts.data());
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < k; ++i) {
        CHECK(counts[i] >= 0 && (weights[i] > 0.0 || counts[i] == 0));
        sum += counts[i];
      }
      CHECK(sum == total);
    }
  }
}

}  // namespace

int main() {
  streams();
  continuous();
  discrete();
  return check::report();
}
