// Likelihood-ratio tests of many tables with the same groups and covariates: the larger and the smaller model of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/parallel.hpp"
#include "regression/newton.hpp"

namespace hbm_fast {

// A design with what a search starts from: an orthogonal one, so that coefficients of a predictor are design' eta / N.
struct Design {
  const double* values;  // (N, columns)
  std::size_t n_columns;
  const double* unit;  // (columns,)
};

struct BatchData {
  std::size_t n_tables;
  std::size_t n_rows;
  const double* counts;            // the tables one behind the other, (N, K_b) each
  const std::int64_t* categories;  // K_b
  Design mean;
  Design null;
  Design precision;
  const double* precision_offset;   // (N,), or null
  const double* precision_penalty;  // (Q, Q), or null
  int max_iterations;
};

// Of one table, each of B. The value is penalised where there is a penalty.
struct BatchResult {
  double* value;
  double* null_value;
  double* precision;              // (B, Q) coefficients of the larger model
  double* precision_information;  // (B,) of the first of them, the others and those of the mean profiled out
  std::int64_t* n_categories;     // with counts
  std::int64_t* ending;           // of the larger model; -1 where fewer than two categories have counts
  std::int64_t* null_ending;
};

void fit_batch(const BatchData& data, const BatchResult& result, int n_threads, const Poll& poll);

}  // namespace hbm_fast
