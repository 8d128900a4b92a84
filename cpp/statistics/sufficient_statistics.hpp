// Exceedances: for each category k and j >= 0 the number of groups with x_nk > j, and the same for the totals.
// It determines the likelihood of a shared concentration:
//   sum_n log p(x_n | a) = coefficient + sum_k sum_j c_kj log(a_k + j) - sum_j C_j log(A + j),  A = sum_k a_k.
// Memory and the time of an evaluation depend on the counts' sizes, never on the number of groups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/array_view.hpp"
#include "core/parallel.hpp"

namespace hbm_fast {

// Totals up to here: beyond, what rounding leaves of sums of log-gammas is no longer small beside the likelihood.
constexpr std::uint64_t largest_statistics_total = std::uint64_t{1} << 40;

// The counts of one category (or the totals): how often each distinct positive value occurs.
class CountColumn {
 public:
  struct ValueWeights {
    std::span<const double> values;   // ascending, distinct, >= 1
    std::span<const double> weights;  // how many groups have the value
  };

  // The terms log(a + j) of the exceedances in the order of evaluation: four in a row of one weight take one logarithm.
  struct Terms {
    std::vector<double> fours;  // the first level of each such run
    std::vector<double> four_weights;
    std::vector<double> firsts;  // the other levels, two by two; the last may have a second of weight 0
    std::vector<double> first_weights;
    std::vector<double> seconds;
    std::vector<double> second_weights;
  };

  void add(std::uint64_t value, double weight);
  void add(const CountColumn& other, TimedPoll& poll);
  // After the last add: chooses the form of evaluation. Nothing below may be called before it.
  void finish(TimedPoll& poll);

  bool empty() const { return values_.empty(); }
  // The number of groups with a positive count.
  double n_positive() const { return n_positive_; }
  // The sum of all counts.
  double sum() const { return sum_; }
  // Sum over groups of log(x!).
  double log_factorials() const { return log_factorials_; }
  // Whether a Gibbs step runs over the table (a draw for each j); else over values and weights, few beside the largest
  // value.
  bool has_table() const { return has_table_; }
  ValueWeights value_weights() const { return {values_, weights_}; }
  // The table c_0 >= c_1 >= ...; built at the first call where has_table() is false, and then as long as the largest
  // value. Throws std::length_error beyond 2^27 entries: use value_weights().
  std::span<const double> exceedances() const;
  // Whether evaluations of a column that is not empty run over the terms; else over values and weights.
  bool evaluates_terms() const { return !terms_.fours.empty() || !terms_.firsts.empty(); }
  const Terms& terms() const { return terms_; }
  // Whether an evaluation takes log(x!) from each log-gamma before it adds them up: for large counts hardly more is
  // left.
  bool subtracts_factorials() const { return subtracts_factorials_; }

 private:
  void make_terms();

  std::map<std::uint64_t, double> large_;  // beyond the reach of small_
  std::vector<double> small_;              // weight of value v at v - 1
  std::vector<double> values_;
  std::vector<double> weights_;
  mutable std::vector<double> table_;
  Terms terms_;
  double n_positive_ = 0.0;
  double sum_ = 0.0;
  double log_factorials_ = 0.0;
  bool subtracts_factorials_ = false;
  bool has_table_ = true;
};

class SufficientStatistics {
 public:
  explicit SufficientStatistics(std::size_t n_categories);

  // Adds every row of counts; `weights`, where given, holds how often each row counts (n_rows values >= 0, finite).
  // Throws std::invalid_argument for a negative count, a total above largest_statistics_total, a bad weight, weights
  // whose sum is infinite or a different number of categories; nothing is added then, nor where poll throws.
  void add(const CountsView& counts, const double* weights = nullptr, const Poll& poll = {});
  // The same of compressed sparse rows: row n holds columns[offsets[n] .. offsets[n + 1]), each column at most once.
  template <class Index>
  void add_sparse(const CountsView& stored, const Index* columns, const Index* offsets, std::size_t n_rows,
                  const double* weights = nullptr, const Poll& poll = {});
  void merge(const SufficientStatistics& other, const Poll& poll = {});

  std::size_t n_categories() const { return columns_.size(); }
  double n_groups() const { return n_groups_; }
  // Sum over groups of the log multinomial coefficient.
  double log_coefficient() const { return log_coefficient_; }

  // A Gibbs step for the table counts reads either form of a category. Table: level j has c_kj trials of success
  // a/(a+j). Else: each of the `weight` groups with count v has one trial at every level j < v, so that their table
  // counts are `weight` independent draws from CRT(v, a).
  bool has_table(std::size_t category) const { return columns_[category].has_table(); }
  CountColumn::ValueWeights value_weights(std::size_t category) const { return columns_[category].value_weights(); }
  CountColumn::ValueWeights total_value_weights() const { return totals_.value_weights(); }
  double n_positive(std::size_t category) const { return columns_[category].n_positive(); }
  // c_k0, c_k1, ... (non-increasing, up to the largest count of category k), whatever the form of evaluation.
  std::span<const double> exceedances(std::size_t category) const { return columns_[category].exceedances(); }
  std::span<const double> total_exceedances() const { return totals_.exceedances(); }

  // Log-likelihood at one concentration (K values >= 0; 0 where the category is absent, else -inf), less
  // log_constant(coefficient); writes the gradient with respect to the concentration where `gradient` is not null. A
  // `poll`, here and below, is for statistics of so many distinct counts that one evaluation takes seconds.
  double log_likelihood(const double* concentration, double* gradient = nullptr, TimedPoll* poll = nullptr) const;

  // The same for n concentrations (n, K), to the same bits and faster; gradient: (n, K) or null.
  void log_likelihood(const double* concentration, std::size_t n, double* value, double* gradient,
                      TimedPoll* poll = nullptr) const;

  // What to add to it for the log-likelihood with the coefficients, or for that of the ordered sequences.
  double log_constant(bool coefficient) const;

  // The Hessian is diag(diagonal) + constant (every element): writes the diagonal, returns the constant.
  double hessian(const double* concentration, double* diagonal, TimedPoll* poll = nullptr) const;

  // For pickles: all columns, the totals last.
  const CountColumn& column(std::size_t k) const { return k < columns_.size() ? columns_[k] : totals_; }
  // From the values and weights of all columns. Throws std::invalid_argument for what no counts give.
  static SufficientStatistics restore(const std::vector<CountColumn::ValueWeights>& columns, double n_groups);

 private:
  // Adds these columns, or nothing where poll throws.
  void commit(std::vector<CountColumn> columns, CountColumn totals, double n_groups, TimedPoll& poll);
  void find_only_column();
  bool is_one(const double* concentration) const {
    return only_column_ < n_categories() && concentration[only_column_] > 0.0;
  }
  double log_likelihood_of_one(const double* concentration, TimedPoll* poll) const;
  double far_log_likelihood(const double* concentration, double* gradient, TimedPoll* poll) const;
  void subtract_shared_slope(const double* concentration, double shared, double* gradient, TimedPoll* poll) const;
  double exact_slope(const double* concentration, std::size_t k, TimedPoll* poll) const;

  std::vector<CountColumn> columns_;
  CountColumn totals_;
  double n_groups_ = 0.0;
  double log_coefficient_ = 0.0;
  std::size_t only_column_;  // the category that holds all counts, or n_categories()
};

}  // namespace hbm_fast
