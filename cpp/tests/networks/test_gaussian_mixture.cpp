// Densities and draws of mixtures of Gaussians against the formulas written out, in one call and in pieces; the tails
// of the normal distribution against erfc.
#include <cmath>
#include <vector>

#include "math/normal_tails.hpp"
#include "networks/gaussian_mixture.hpp"
#include "tests/check.hpp"

using namespace hbm_fast;

namespace {

constexpr std::size_t datasets = 3, components = 5, dim = 3, n_lower = 3, draws = 131;

// A low-discrepancy sequence on (-1, 1).
std::vector<float> numbers(std::size_t n, double step) {
  std::vector<float> result(n);
  for (std::size_t i = 0; i < n; ++i)
    result[i] = static_cast<float>(2.0 * std::fmod(0.5 + static_cast<double>(i) * step, 1.0) - 1.0);
  return result;
}

const std::vector<float> mean = numbers(datasets * components * dim, 0.618034);
const std::vector<float> lower = numbers(datasets * components * n_lower, 0.754878);
const MixtureView mixture{datasets, components, dim, n_lower, mean.data(), lower.data()};

void density_is_the_formula() {
  const auto constant = numbers(datasets * components, 0.569840);
  auto scale = numbers(datasets * components * dim, 0.414214);
  for (float& s : scale) s = std::exp(s);
  const auto z = numbers(datasets * draws * dim, 0.732051);
  std::vector<double> out(datasets * draws), again(datasets * draws);
  mixture_log_density(mixture, constant.data(), scale.data(), z.data(), draws, out.data(), 1, {});
  mixture_log_density(mixture, constant.data(), scale.data(), z.data(), draws, again.data(), 3, {});
  CHECK(out == again);
  for (std::size_t row = 0; row < datasets * draws; ++row) {
    long double sum = 0.0L;
    for (std::size_t c = row / draws * components; c < (row / draws + 1) * components; ++c) {
      const float* at = z.data() + row * dim;
      long double deviation[dim];
      for (std::size_t i = 0; i < dim; ++i) deviation[i] = static_cast<long double>(at[i]) - mean[c * dim + i];
      const float* low = lower.data() + c * n_lower;
      long double exponent = constant[c];
      for (std::size_t i = 0; i < dim; ++i) {
        long double y = deviation[i];
        for (std::size_t j = 0; j < i; ++j) y += *low++ * deviation[j];
        exponent -= 0.5L * (y * scale[c * dim + i]) * (y * scale[c * dim + i]);
      }
      sum += std::exp(exponent);
    }
    CHECK(std::abs(out[row] - static_cast<double>(std::log(sum))) < 1e-14 * (1.0 + std::abs(out[row])));
  }
}

void draws_solve_the_whitening() {
  std::vector<float> edges;
  for (std::size_t b = 0; b < datasets; ++b) {
    for (std::size_t c = 1; c < components; ++c) edges.push_back(static_cast<float>(c) / components);
  }
  const std::vector<float> spread(datasets * components * dim, 0.5f);
  auto uniform = numbers(datasets * draws, 0.618034);
  for (float& u : uniform) u = 0.5f * (u + 1.0f);
  const auto noise = numbers(datasets * draws * dim, 0.754878);
  std::vector<float> z(datasets * draws * dim), again(z.size());
  mixture_draws(mixture, edges.data(), spread.data(), uniform.data(), noise.data(), draws, z.data(), 1, {});
  mixture_draws(mixture, edges.data(), spread.data(), uniform.data(), noise.data(), draws, again.data(), 3, {});
  CHECK(z == again);
  for (std::size_t row = 0; row < datasets * draws; ++row) {
    const auto chosen = static_cast<std::size_t>(std::ceil(components * uniform[row])) - 1;
    const std::size_t c = row / draws * components + chosen;
    for (std::size_t i = 0, low = c * n_lower; i < dim; ++i) {
      float y = z[row * dim + i] - mean[c * dim + i];
      for (std::size_t j = 0; j < i; ++j) y += lower[low++] * (z[row * dim + j] - mean[c * dim + j]);
      CHECK(std::abs(y - 0.5f * noise[row * dim + i]) < 2e-6f);
    }
  }
}

void tails_are_those_of_erfc() {
  std::vector<double> z;
  for (double x = -37.0; x < 37.0; x += 0.0731) z.push_back(x);
  std::vector<double> low(2 * z.size()), high(2 * z.size());
  normal_tails(z.data(), 1, z.size(), low.data() + 1, high.data() + 1, 2, 2, {});
  for (std::size_t i = 0; i < z.size(); ++i) {
    const long double below = std::log(0.5L * std::erfc(-static_cast<long double>(z[i]) / std::sqrt(2.0L)));
    const long double above = std::log1p(-0.5L * std::erfc(-static_cast<long double>(z[i]) / std::sqrt(2.0L)));
    CHECK(std::abs(low[2 * i + 1] - static_cast<double>(below)) <= 1e-14 * std::abs(low[2 * i + 1]) + 1e-18);
    if (z[i] < 5.0) CHECK(std::abs(high[2 * i + 1] - static_cast<double>(above)) <= 1e-12 * std::abs(high[2 * i + 1]));
  }
}

}  // namespace

int main() {
  density_is_the_formula();
  draws_solve_the_whitening();
  tails_are_those_of_erfc();
  return check::report();
}
