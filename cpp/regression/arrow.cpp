#include "regression/arrow.hpp"

#include <cmath>
#include <utility>

#include "math/cholesky.hpp"
#include "math/sum.hpp"

namespace hbm_fast {
namespace {

constexpr double lost_pivot = 1e-13;

void multiply_upper(const double* l, std::size_t n, double* v) {
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0.0;
    for (std::size_t k = i; k < n; ++k) sum += l[k * n + i] * v[k];
    v[i] = sum;
  }
}

}  // namespace

ArrowMatrix::ArrowMatrix(std::size_t n_blocks_, std::size_t block_, std::size_t common_)
    : n_blocks(n_blocks_),
      block(block_),
      common(common_),
      blocks(n_blocks * block * block),
      cross(n_blocks * block * common),
      corner(common * common) {}

void ArrowMatrix::add_to_diagonal(double share) {
  const auto add = [share](double* a, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) a[i * n + i] += share * (std::abs(a[i * n + i]) + 1.0);
  };
  for (std::size_t s = 0; s < n_blocks; ++s) add(blocks.data() + s * block * block, block);
  add(corner.data(), common);
}

bool ArrowFactor::factor(ArrowMatrix matrix) {
  matrix_ = std::move(matrix);
  const std::size_t block = matrix_.block;
  const std::size_t common = matrix_.common;
  for (std::size_t s = 0; s < matrix_.n_blocks; ++s) {
    double* own = matrix_.blocks.data() + s * block * block;
    double* cross = matrix_.cross.data() + s * block * common;
    if (!cholesky(own, block, lost_pivot)) return false;
    for (std::size_t i = 0; i < block; ++i) {  // L_s^-1 cross
      double* row = cross + i * common;
      for (std::size_t k = 0; k < i; ++k) {
        for (std::size_t t = 0; t < common; ++t) row[t] -= own[i * block + k] * cross[k * common + t];
      }
      for (std::size_t t = 0; t < common; ++t) row[t] /= own[i * block + i];
      for (std::size_t t = 0; t < common; ++t) {
        for (std::size_t r = 0; r <= t; ++r) matrix_.corner[t * common + r] -= row[t] * row[r];
      }
    }
  }
  return cholesky(matrix_.corner.data(), common, lost_pivot);
}

void ArrowFactor::solve(double* v) const {
  const std::size_t block = matrix_.block;
  const std::size_t common = matrix_.common;
  for (std::size_t s = 0; s < matrix_.n_blocks; ++s) {
    double* part = v + common + s * block;
    solve_lower(matrix_.blocks.data() + s * block * block, block, part);
    const double* cross = matrix_.cross.data() + s * block * common;
    for (std::size_t i = 0; i < block; ++i) {
      for (std::size_t t = 0; t < common; ++t) v[t] -= cross[i * common + t] * part[i];
    }
  }
  solve_lower(matrix_.corner.data(), common, v);
}

void ArrowFactor::solve_transposed(double* v) const {
  const std::size_t block = matrix_.block;
  const std::size_t common = matrix_.common;
  solve_upper(matrix_.corner.data(), common, v);
  for (std::size_t s = 0; s < matrix_.n_blocks; ++s) {
    double* part = v + common + s * block;
    const double* cross = matrix_.cross.data() + s * block * common;
    for (std::size_t i = 0; i < block; ++i) {
      for (std::size_t t = 0; t < common; ++t) part[i] -= cross[i * common + t] * v[t];
    }
    solve_upper(matrix_.blocks.data() + s * block * block, block, part);
  }
}

void ArrowFactor::multiply_transposed(double* v) const {
  const std::size_t block = matrix_.block;
  const std::size_t common = matrix_.common;
  for (std::size_t s = 0; s < matrix_.n_blocks; ++s) {
    double* part = v + common + s * block;
    multiply_upper(matrix_.blocks.data() + s * block * block, block, part);
    const double* cross = matrix_.cross.data() + s * block * common;
    for (std::size_t i = 0; i < block; ++i) {
      for (std::size_t t = 0; t < common; ++t) part[i] += cross[i * common + t] * v[t];
    }
  }
  multiply_upper(matrix_.corner.data(), common, v);
}

double ArrowFactor::log_determinant() const {
  double sum = 0.0;
  const auto add = [&sum](const double* a, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) sum += std::log(a[i * n + i]);
  };
  for (std::size_t s = 0; s < matrix_.n_blocks; ++s)
    add(matrix_.blocks.data() + s * matrix_.block * matrix_.block, matrix_.block);
  add(matrix_.corner.data(), matrix_.common);
  return sum;
}

void ArrowFactor::block_variances(std::size_t s, double* variances) const {
  const std::size_t block = matrix_.block;
  const double* own = matrix_.blocks.data() + s * block * block;
  std::vector<double> column(block);
  for (std::size_t i = 0; i < block; ++i) {
    column.assign(block, 0.0);
    column[i] = 1.0;
    solve_lower(own, block, column.data());
    variances[i] = dot(column, column);
  }
}

}  // namespace hbm_fast
