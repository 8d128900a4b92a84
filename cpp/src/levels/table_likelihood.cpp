// acc[s] += sign * sum_{j >= 1} c_j log(a[s] + j), vectorised over the draws s. Stretches of equal c_j share one logarithm
// of a product of up to eight factors.
#include <cstddef>
#include <cstdint>

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

// log of a positive normal double, without branches (the polynomial of fdlibm's e_log.c); error below one unit.
inline double log_positive(double x) {
  std::uint64_t bits = 0;
  __builtin_memcpy(&bits, &x, sizeof bits);
  // exponent e and mantissa m in [sqrt(1/2), sqrt(2)): x = 2^e m
  const std::uint64_t shifted = bits - 0x3FE6A09E00000000u + (std::uint64_t{1024} << 52);
  const std::uint64_t biased = shifted >> 52;
  const std::uint64_t mantissa_bits = bits - (biased << 52) + (std::uint64_t{1024} << 52);
  const std::uint64_t exponent_bits = biased | 0x4330000000000000u;
  double m = 0.0;
  double e = 0.0;
  __builtin_memcpy(&m, &mantissa_bits, sizeof m);
  __builtin_memcpy(&e, &exponent_bits, sizeof e);
  e -= 0x1.0p52 + 1024.0;
  const double f = m - 1.0;
  const double s = f / (2.0 + f);
  const double z = s * s;
  const double w = z * z;
  const double odd = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double even = z * (6.666666666666735130e-01 +
                           w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double half = 0.5 * f * f;
  return e * 6.93147180369123816490e-01 - ((half - (s * (half + odd + even) + e * 1.90821492927058770002e-10)) - f);
}

}  // namespace

void add_table(const float* table, std::size_t n, double sign, const double* a, double* acc, std::size_t n_draws) {
  double product[64];
  for (std::size_t begin = 0; begin < n_draws; begin += 64) {
    const std::size_t size = n_draws - begin < 64 ? n_draws - begin : 64;
    const double* block = a + begin;
    for (std::size_t j = 1; j < n && table[j] > 0.0f;) {
      const float c = table[j];
      for (std::size_t s = 0; s < size; ++s) product[s] = block[s] + static_cast<double>(j);
      std::size_t last = j + 1;
      for (; last < n && table[last] == c && last - j < 8; ++last) {
        for (std::size_t s = 0; s < size; ++s) product[s] *= block[s] + static_cast<double>(last);
      }
      const double factor = sign * static_cast<double>(c);
      for (std::size_t s = 0; s < size; ++s) acc[begin + s] += factor * log_positive(product[s]);
      j = last;
    }
  }
}

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
