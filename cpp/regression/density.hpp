// The log posterior density of a regression, random intercepts included, with its gradient: for sampling.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/stream.hpp"
#include "regression/arrow.hpp"
#include "regression/objective.hpp"

namespace hbm_fast {

// Intercepts scale * z, z ~ Normal(0, 1), of every subject for the J free categories; where no category is the
// reference, for all K of them, of which those of the last are subtracted from the others.
struct InterceptData {
  std::size_t n_subjects = 0;             // S; 0: none
  const std::int64_t* subject = nullptr;  // (N,)
  bool of_all_categories = false;
  bool shared_scale = false;
  double scale_sd = 1.0;  // of the half-normal prior of each scale
};

// Coordinates: theta as in RegressionObjective, then the scales, then z, a subject's I together. A scale may have
// either sign here, with a normal prior: its absolute value has the half-normal one, and there is no boundary at 0.
class RegressionDensity {
 public:
  // log_normalizer: of the normal prior of theta, whose quadratic form is the penalty of the data.
  RegressionDensity(const RegressionData& data, const InterceptData& intercepts, double log_normalizer);

  std::size_t n_theta() const { return n_theta_; }
  std::size_t n_scales() const { return n_scales_; }
  std::size_t n_common() const { return n_theta_ + n_scales_; }
  std::size_t n_subjects() const { return intercepts_.n_subjects; }
  std::size_t n_intercepts() const { return n_intercepts_; }
  std::size_t dimension() const { return n_common() + n_subjects() * n_intercepts_; }
  double scale_sd() const { return intercepts_.scale_sd; }
  // Which scale is that of intercept i.
  std::size_t scale_of(std::size_t i) const { return intercepts_.shared_scale ? 0 : i; }

  // With every constant; -inf where a concentration leaves the range of the vector loops. `gradient` may be null.
  double value(const double* y, double* gradient);
  // Minus the Hessian; without its part by second derivatives of the intercepts in the scales, so that it is positive
  // definite further out. `frozen`: as if the scales were known.
  ArrowMatrix information(const double* y, bool frozen);

  // The log likelihood of each subject's rows, with the coefficients of the multinomial and z integrated out, at
  // `common`, theta and the logarithms of scales. By the product of the rule (nodes and weights of a normal
  // distribution, around the mode and scaled there), or, where it has no nodes, by draws from a multivariate t there.
  void subject_log_likelihood(const double* common, const std::vector<double>& nodes,
                              const std::vector<double>& weights, Stream& stream, double* out);
  // The log density of theta and the logarithms of scales, all z integrated out.
  double marginal(const double* common, const std::vector<double>& nodes, const std::vector<double>& weights,
                  Stream& stream);

 private:
  void predictors(const double* y);
  double log_prior(const double* common) const;
  double subject_integral(std::size_t s, const std::vector<double>& nodes, const std::vector<double>& weights,
                          Stream& stream);

  RegressionData data_;
  InterceptData intercepts_;
  std::size_t n_theta_, n_free_, n_intercepts_, n_scales_;
  double constant_;
  double log_normalizer_;
  std::vector<double> penalty_;      // (p, p)
  std::vector<std::size_t> filled_;  // the n rows with counts
  std::vector<std::size_t> subject_;
  std::vector<std::vector<std::size_t>> rows_of_;     // of each subject, among the n
  std::vector<double> log_coefficients_;              // (n,)
  std::vector<double> columns_, precision_columns_;   // (P, n), (Q, n)
  std::vector<double> offset_, precision_offset_;     // (n,)
  std::vector<std::uint32_t> cells_, rows_;           // where counts are positive: in (K, n), and their row
  std::vector<double> counts_;                        // those counts, then the n totals
  std::vector<double> mean_, precision_;              // (K, n), (n,): first the linear predictors
  std::vector<double> concentration_, terms_;         // of the cells, then of the totals
  std::vector<double> scale_, shift_, shift_slopes_;  // (T,), (S, J), (S, J)
  std::vector<double> slopes_, row_slopes_;           // (K, n), (n,)
};

}  // namespace hbm_fast
