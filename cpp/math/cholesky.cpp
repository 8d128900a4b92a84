#include "math/cholesky.hpp"

#include <cmath>
#include <limits>

namespace hbm_fast {

bool cholesky(double* matrix, std::size_t n, double lost_pivot) {
  for (std::size_t i = 0; i < n; ++i) {
    double* row = matrix + i * n;
    const double whole = row[i];
    for (std::size_t j = 0; j <= i; ++j) {
      const double* other = matrix + j * n;
      double sum = row[j];
      for (std::size_t k = 0; k < j; ++k) sum -= row[k] * other[k];
      if (j < i) {
        row[j] = sum / other[j];
      } else {
        if (!(sum > lost_pivot * whole) || !(sum < std::numeric_limits<double>::infinity())) return false;
        row[i] = std::sqrt(sum);
      }
    }
  }
  return true;
}

void solve_lower(const double* factor, std::size_t n, double* b) {
  for (std::size_t i = 0; i < n; ++i) {
    double sum = b[i];
    for (std::size_t k = 0; k < i; ++k) sum -= factor[i * n + k] * b[k];
    b[i] = sum / factor[i * n + i];
  }
}

void solve_upper(const double* factor, std::size_t n, double* b) {
  for (std::size_t i = n; i-- > 0;) {
    b[i] /= factor[i * n + i];
    for (std::size_t k = 0; k < i; ++k) b[k] -= factor[i * n + k] * b[i];
  }
}

// The subtractions of its second half are those of solve_upper in another order, which the last bits depend on.
void cholesky_solve(const double* factor, std::size_t n, double* b) {
  solve_lower(factor, n, b);
  for (std::size_t i = n; i-- > 0;) {
    double sum = b[i];
    for (std::size_t k = i + 1; k < n; ++k) sum -= factor[k * n + i] * b[k];
    b[i] = sum / factor[i * n + i];
  }
}

}  // namespace hbm_fast
