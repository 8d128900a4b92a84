// Symmetric matrices of many small blocks, each of which meets one common block and no other: linear in their number.
#pragma once

#include <cstddef>
#include <vector>

namespace hbm_fast {

// Vectors lie with the common part first, then the parts of the blocks.
struct ArrowMatrix {
  ArrowMatrix(std::size_t n_blocks, std::size_t block, std::size_t common);

  std::size_t n_blocks, block, common;
  std::vector<double> blocks;  // (S, I, I)
  std::vector<double> cross;   // (S, I, T)
  std::vector<double> corner;  // (T, T)

  std::size_t dimension() const { return common + n_blocks * block; }
  void add_to_diagonal(double share);  // of each element, and of 1
};

// The lower Cholesky factor L of A = L L', blocks first.
class ArrowFactor {
 public:
  // False where the matrix is not positive definite.
  bool factor(ArrowMatrix matrix);
  // In place: L^-1 v, L^-T v, L' v.
  void solve(double* v) const;
  void solve_transposed(double* v) const;
  void multiply_transposed(double* v) const;
  double log_determinant() const;  // of L
  // The diagonal (I,) of the inverse of block s alone.
  void block_variances(std::size_t s, double* variances) const;

 private:
  ArrowMatrix matrix_{0, 0, 0};
};

}  // namespace hbm_fast
