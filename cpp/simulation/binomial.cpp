#include <algorithm>
#include <cmath>

#include "math/sum.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

#include "math/elementary.inl"

// Up to this mean the inversion walks; beyond it the transformed rejection is cheaper (it needs at least 10).
constexpr double inversion_mean = 12.0;

// log n! - [(n + 1/2) log(n + 1) - (n + 1) + log(2 pi)/2]: Stirling's series at n + 1, from a table where it converges
// slowly (values: that expression at 40 digits).
double log_factorial_tail(double n) {
  static constexpr double table[] = {
      0.08106146679532726, 0.04134069595540929, 0.02767792568499834, 0.02079067210376509,  0.01664469118982119,
      0.01387612882307075, 0.01189670994589177, 0.01041126526197209, 0.009255462182712733, 0.008330563433362871};
  if (n < 10.0) return table[static_cast<int>(n)];
  const double r = 1.0 / (n + 1.0);
  const double q = r * r;
  return r * (1.0 / 12 - q * (1.0 / 360 - q * (1.0 / 1260 - q * (1.0 / 1680 - q / 1188))));
}

// Sequential search from zero (Devroye 1986, X.4), for one uniform u.
std::int64_t invert(double u, double n, double p, double q) {
  const double odds = p / q;
  double mass = exp_of(n * log1p_of(-p));
  double x = 0.0;
  // The masses sum to 1 - 1e-15 or so; a u beyond that sum belongs to the far tail and must end somewhere.
  while (u > mass && x < n && mass > 1e-300) {
    u -= mass;
    mass *= (n - x) / (x + 1.0) * odds;
    x += 1.0;
  }
  return static_cast<std::int64_t>(x);
}

// Transformed rejection with squeeze (BTRS: Hoermann 1993, doi:10.1080/00949659308811496); n p >= 10, p <= 1/2. The
// ratio of the masses at x and at the mode is written as logs of ratios near one, so that it keeps its digits at
// totals of 1e9.
std::int64_t reject(Stream& stream, double n, double p, double q) {
  const double deviation = std::sqrt(n * p * q);
  const double b = 1.15 + 2.53 * deviation;
  const double a = -0.0873 + 0.0248 * b + 0.01 * p;
  const double center = n * p + 0.5;
  const double sure = 0.92 - 4.2 / b;
  const double slope = (2.83 + 5.1 / b) * deviation;
  const double odds = p / q;
  const double mode = std::floor((n + 1.0) * p);
  for (;;) {
    const double u = stream.uniform() - 0.5;
    const double v = stream.uniform();
    const double edge = 0.5 - std::abs(u);
    const double x = std::floor((2.0 * a / edge + b) * u + center);
    if (edge >= 0.07 && v <= sure) return static_cast<std::int64_t>(x);
    if (x < 0.0 || x > n) continue;
    const double log_ratio =
        (mode + 0.5) * log1p_of((mode - x) / (x + 1.0)) + (n - mode + 0.5) * log1p_of((x - mode) / (n - x + 1.0)) +
        (x - mode) * log_of(odds * ((n - x + 1.0) / (x + 1.0))) + (log_factorial_tail(mode) - log_factorial_tail(x)) +
        (log_factorial_tail(n - mode) - log_factorial_tail(n - x));
    if (log_of(v * slope / (a / (edge * edge) + b)) <= log_ratio) return static_cast<std::int64_t>(x);
  }
}

// p <= 1/2, and u a uniform already drawn from the stream
std::int64_t lower_half(Stream& stream, double u, double n, double p, double q) {
  if (n * p < inversion_mean) return invert(1.0 - u, n, p, q);
  return reject(stream, n, p, q);
}

// Categories that a multinomial passes over at once.
constexpr std::size_t chunk = 16;

}  // namespace

std::int64_t binomial_odds(Stream& stream, std::int64_t n, double successes, double failures) {
  if (n <= 0 || !(successes > 0.0)) return 0;  // a NaN too: the rejection below would never end
  if (!(failures > 0.0)) return n;
  const double sum = successes + failures;
  const double u = stream.uniform();
  const auto size = static_cast<double>(n);
  // A zero is certain where u exceeds n p >= P(X > 0) (Bernoulli's inequality): the inversion below counts u from the
  // top. Most categories end here, before any division.
  if (successes <= failures && u * sum >= size * successes) return 0;
  const double p = successes / sum;
  const double q = failures / sum;
  return p <= q ? lower_half(stream, u, size, p, q) : n - lower_half(stream, u, size, q, p);
}

std::int64_t binomial(Stream& stream, std::int64_t n, double p) { return binomial_odds(stream, n, p, 1.0 - p); }

void multinomial(Stream& stream, std::int64_t total, const double* weights, std::size_t n_categories, double* scratch,
                 std::int64_t* counts) {
  // Chunks of 16 first where there are many categories: most of them get nothing, and are passed over at once.
  const std::size_t n_chunks = n_categories > 2 * chunk ? (n_categories + chunk - 1) / chunk : 1;
  const std::size_t step = n_chunks > 1 ? chunk : n_categories;
  double* sums = scratch;              // of each chunk
  double* after = scratch + n_chunks;  // of the chunks behind it
  for (std::size_t c = 0; c < n_chunks; ++c)
    sums[c] = sum_of_four(weights + c * step, 1, std::min(n_categories - c * step, step));
  after[n_chunks - 1] = 0.0;
  for (std::size_t c = n_chunks - 1; c > 0; --c) after[c - 1] = after[c] + sums[c];

  std::fill(counts, counts + n_categories, 0);
  for (std::size_t c = 0; c < n_chunks && total > 0; ++c) {
    std::int64_t left = binomial_odds(stream, total, sums[c], after[c]);
    total -= left;
    if (left == 0) continue;
    // Whether a weight is zero is an unpredictable branch: the positive ones are listed first.
    std::size_t index[2 * chunk];
    double behind[2 * chunk];
    std::size_t n_listed = 0;
    for (std::size_t k = c * step; k < std::min(n_categories, (c + 1) * step); ++k) {
      index[n_listed] = k;
      n_listed += weights[k] > 0.0 ? 1 : 0;
    }
    double sum = 0.0;
    for (std::size_t r = n_listed; r-- > 0;) {
      behind[r] = sum;
      sum += weights[index[r]];
    }
    for (std::size_t r = 0; r < n_listed && left > 0; ++r) {
      const std::int64_t drawn = binomial_odds(stream, left, weights[index[r]], behind[r]);
      counts[index[r]] = drawn;
      left -= drawn;
    }
  }
}

}  // namespace hbm_fast
