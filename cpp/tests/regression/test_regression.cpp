// The rising factorial's derivatives over all its branches, against sums term by term.
#include <cmath>

#include "regression/rising.hpp"
#include "tests/check.hpp"

using namespace hbm_fast;

int main() {
  for (const double a : {1e-320, 1e-12, 0.3, 7.9, 8.1, 9.9, 10.1, 300.0, 1e7, 1e9, 1e14}) {
    for (const double n : {0.0, 1.0, 2.0, 9.0, 16.0, 17.0, 40.0, 1000.0}) {
      long double value = 0.0L;
      long double slope = 0.0L;
      long double curvature = 0.0L;
      long double shortfall = 0.0L;
      for (double j = 0.0; j < n; j += 1.0) {
        const long double z = static_cast<long double>(a) + j;
        value += std::log(z);
        slope += a / z;
        shortfall += j / z;
        curvature += a * static_cast<long double>(j) / (z * z);
      }
      const Rising f = rising(std::log(a), a, n);
      CHECK_CLOSE(f.value, static_cast<double>(value), 1e-13);
      CHECK_CLOSE(f.slope, static_cast<double>(slope), 1e-13);
      CHECK_CLOSE(f.curvature, static_cast<double>(curvature), 1e-10);
      if (n > 1.0) CHECK_CLOSE(f.shortfall / static_cast<double>(shortfall), 1.0, 1e-9);
      CHECK_CLOSE(rising_value(std::log(a), a, n), f.value, 1e-13);
    }
  }
  return check::report();
}
