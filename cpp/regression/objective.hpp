// The log-likelihood of a regression on mean proportions and precision, and its derivatives in the coefficients.
#pragma once

#include <cstddef>
#include <vector>

#include "core/parallel.hpp"
#include "regression/row.hpp"

namespace hbm_fast {

// Views of what one regression is fitted to. Arrays that may be absent are null.
struct RegressionData {
  Link link;
  std::size_t n_rows;               // N
  std::size_t n_categories;         // K
  std::size_t n_columns;            // P, of the design of the mean
  std::size_t n_precision;          // Q, of that of the precision; 0 where the link is not softmax
  const double* counts;             // (N, K)
  const double* design;             // (N, P)
  const double* precision_design;   // (N, Q)
  const double* weights;            // (N,) multiplicities of the rows
  const double* offset;             // (N,) added to every eta
  const double* precision_offset;   // (N,) added to zeta
  const double* penalty;            // (P, P): minus theta' (penalty) theta / 2 for the column of each category
  const double* precision_penalty;  // (Q, Q)

  std::size_t free() const { return n_free(link, n_categories); }
  std::size_t n_parameters() const { return free() * n_columns + n_precision; }
};

// The predictors of row n, its offsets included.
void linear_predictors(const RegressionData& data, std::size_t n, const double* theta, double* eta, double& zeta);

// The sum of the logs of the multinomial coefficients.
double log_coefficient(const RegressionData& data);

// Parameters lie category by category, P each, then the Q of the precision.
class RegressionObjective {
 public:
  RegressionObjective(const RegressionData& data, int n_threads, Poll poll);

  // The value with the multinomial coefficient; writes the gradient (p) and minus the Hessian (p, p).
  double derivatives(const double* theta, double* gradient, double* information) const;
  // The value with the rows taken in steps, so that about most_rows of them are: for comparisons.
  double value(const double* theta, std::size_t most_rows) const;

  // The part of value that the penalty is.
  double penalty(const double* theta) const;

  // The largest change, over the rows, of a log mean proportion and (signed, the largest in magnitude) of the log of
  // the precision, when theta changes by step.
  struct Change {
    double mean;
    double precision;
  };
  Change change(const double* theta, const double* step) const;

  // The largest change of a linear predictor, over the rows with counts.
  double longest_change(const double* step) const;

  const RegressionData& data() const { return data_; }

 private:
  struct Sums;
  void add_rows(std::size_t begin, std::size_t end, const double* theta, Sums& sums) const;
  void subtract_penalty(const double* theta, double* gradient, double* information) const;

  RegressionData data_;
  int n_threads_;
  Poll poll_;
  std::size_t chunk_;
  double log_coefficient_;
};

}  // namespace hbm_fast
