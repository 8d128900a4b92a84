// The sums of the likelihood of sufficient statistics, for one concentration and for 64 at once: over exceedances and
// over distinct counts with their weights; text for a namespace of each instruction-set level.

// The reciprocals of two terms a + j, and the range reduction of their logarithms, with one division
struct TwoReciprocals {
  double first, second;
};

inline TwoReciprocals two_levels(double z0, double z1, HalfLogs& log0, HalfLogs& log1, size_t i) {
  const Split p = split(z0);
  const Split q = split(z1);
  const double f = p.m - 1.0;
  const double g = q.m - 1.0;
  const double under0 = z0 * (2.0 + f);
  const double under1 = z1 * (2.0 + g);
  const double both = 1.0 / (under0 * under1);
  // few operations follow the division: this dependency chain bounds the loop
  log0.set(i, f, ((f * z0) * under1) * both, p.e);
  log1.set(i, g, ((g * z1) * under0) * both, q.e);
  return {((2.0 + f) * under1) * both, ((2.0 + g) * under0) * both};
}

// The derivative of log(z (z+1) (z+2) (z+3)), and the range reduction of that logarithm, with one division
inline double four_levels(double z, HalfLogs& log, size_t i) {
  const double t = z * (z + 3.0);
  const double product = t * (t + 2.0);
  const Split p = split(product);
  const double f = p.m - 1.0;
  const double both = 1.0 / (product * (2.0 + f));
  log.set(i, f, (f * product) * both, p.e);
  return ((multiply_add(2.0, z, 3.0) * multiply_add(2.0, t, 2.0)) * (2.0 + f)) * both;
}

// Item j of a sum (a run of four terms, two terms, a value with its weight) goes to accumulator j % 4, and the four are
// added two by two. The order that one concentration and 64 at once share on every machine, so that a
// batch never changes a value.
void add_up(const double* __restrict weight, const double* __restrict term, size_t n, double* __restrict sum) {
  const size_t whole = n & ~size_t{3};
  for (size_t j = 0; j < whole; j += 4) {
    for (size_t l = 0; l < 4; ++l) sum[l] = multiply_add(weight[j + l], term[j + l], sum[l]);
  }
  for (size_t l = 0; l < n - whole; ++l) sum[l] = multiply_add(weight[whole + l], term[whole + l], sum[l]);
}

void add_up_two(const double* __restrict first_weight, const double* __restrict first,
                const double* __restrict second_weight, const double* __restrict second, size_t n,
                double* __restrict sum) {
  const auto add = [&](size_t j, size_t l) {
    sum[l] = multiply_add(second_weight[j], second[j], multiply_add(first_weight[j], first[j], sum[l]));
  };
  const size_t whole = n & ~size_t{3};
  for (size_t j = 0; j < whole; j += 4) {
    for (size_t l = 0; l < 4; ++l) add(j + l, l);
  }
  for (size_t l = 0; l < n - whole; ++l) add(whole + l, l);
}

double total_of(const double* sum) { return (sum[0] + sum[1]) + (sum[2] + sum[3]); }

void totals_of(const double (*__restrict sum)[64], double* __restrict total) {
  for (int i = 0; i < 64; ++i) total[i] = (sum[0][i] + sum[1][i]) + (sum[2][i] + sum[3][i]);
}

void rising_terms(const RisingTerms& c, double a, double* value, double* slope) {
  constexpr size_t block = 64;
  double first_logs[block], first_reciprocals[block], second_logs[block], second_reciprocals[block];
  HalfLogs first, second;
  double sum[4] = {};
  double derivative[4] = {};
  for (size_t begin = 0; begin < c.n_fours; begin += block) {
    const size_t size = c.n_fours - begin < block ? c.n_fours - begin : block;
    for (size_t j = 0; j < size; ++j) first_reciprocals[j] = four_levels(a + c.fours[begin + j], first, j);
    for (size_t j = 0; j < size; ++j) first_logs[j] = first.log(j);
    add_up(c.four_weights + begin, first_logs, size, sum);
    add_up(c.four_weights + begin, first_reciprocals, size, derivative);
  }
  for (size_t begin = 0; begin < c.n_pairs; begin += block) {
    const size_t size = c.n_pairs - begin < block ? c.n_pairs - begin : block;
    for (size_t j = 0; j < size; ++j) {
      const TwoReciprocals of = two_levels(a + c.firsts[begin + j], a + c.seconds[begin + j], first, second, j);
      first_reciprocals[j] = of.first;
      second_reciprocals[j] = of.second;
    }
    for (size_t j = 0; j < size; ++j) first_logs[j] = first.log(j);
    for (size_t j = 0; j < size; ++j) second_logs[j] = second.log(j);
    add_up_two(c.first_weights + begin, first_logs, c.second_weights + begin, second_logs, size, sum);
    add_up_two(c.first_weights + begin, first_reciprocals, c.second_weights + begin, second_reciprocals, size,
               derivative);
  }
  *value = total_of(sum);
  *slope = total_of(derivative);
}

// noinline: the compiler would exchange the two loops, and the inner one stays scalar.
__attribute__((noinline)) void add_four(double weight, double level, const double* __restrict a,
                                        double* __restrict value, double* __restrict slope) {
  HalfLogs log;
  for (size_t i = 0; i < 64; ++i) slope[i] = multiply_add(weight, four_levels(a[i] + level, log, i), slope[i]);
  for (size_t i = 0; i < 64; ++i) value[i] = multiply_add(weight, log.log(i), value[i]);
}

__attribute__((noinline)) void add_two(double w0, double z0, double w1, double z1, const double* __restrict a,
                                       double* __restrict value, double* __restrict slope) {
  HalfLogs log0, log1;
  for (size_t i = 0; i < 64; ++i) {
    const TwoReciprocals of = two_levels(a[i] + z0, a[i] + z1, log0, log1, i);
    slope[i] = multiply_add(w1, of.second, multiply_add(w0, of.first, slope[i]));
  }
  for (size_t i = 0; i < 64; ++i) value[i] = multiply_add(w1, log1.log(i), multiply_add(w0, log0.log(i), value[i]));
}

void rising_terms_batch(const RisingTerms& c, const double* a, double* __restrict value, double* __restrict slope) {
  double sum[4][64] = {};
  double derivative[4][64] = {};
  for (size_t j = 0; j < c.n_fours; ++j) add_four(c.four_weights[j], c.fours[j], a, sum[j & 3], derivative[j & 3]);
  for (size_t j = 0; j < c.n_pairs; ++j) {
    add_two(c.first_weights[j], c.firsts[j], c.second_weights[j], c.seconds[j], a, sum[j & 3], derivative[j & 3]);
  }
  totals_of(sum, value);
  totals_of(derivative, slope);
}

struct RisingAndSlope {
  double log;
  double slope;
};

inline RisingAndSlope rising_and_slope(double a, double x) {
  const Lifted l = lift(a, x);
  const double r0 = 1.0 / l.z0;
  const double r1 = 1.0 / l.z1;
  const double p0 = l.low0 ? eight_factors(a) : 1.0;
  const double p1 = l.low1 ? eight_factors(a + x) : 1.0;
  const double s0 = l.low0 ? eight_reciprocals(l.low0 ? a : 1.0) : 0.0;
  const double s1 = l.low1 ? eight_reciprocals(l.low1 ? a + x : 1.0) : 0.0;
  const double q = log_quotient(l, r0, r1);
  return {multiply_add(l.z0 - 0.5, q, l.d * (log_of(l.z1) - 1.0)) + stirling_difference(r0, r1) + log_of(p0 / p1),
          multiply_add(0.5 * l.d * r0, r1, (s0 - s1) + q) + digamma_tail_difference(r0, r1)};
}

void value_weights(const double* x, const double* w, size_t n, double a, double* value, double* slope) {
  constexpr size_t block = 64;
  double rising[block], difference[block];
  double sum[4] = {};
  double derivative[4] = {};
  for (size_t begin = 0; begin < n; begin += block) {
    const size_t size = n - begin < block ? n - begin : block;
    for (size_t j = 0; j < size; ++j) {
      const RisingAndSlope of = rising_and_slope(a, x[begin + j]);
      rising[j] = of.log;
      difference[j] = of.slope;
    }
    add_up(w + begin, rising, size, sum);
    add_up(w + begin, difference, size, derivative);
  }
  *value = total_of(sum);
  *slope = total_of(derivative);
}

__attribute__((noinline)) void add_pair(double weight, double x, const double* __restrict a, double* __restrict value,
                                        double* __restrict slope) {
  for (int i = 0; i < 64; ++i) {
    const RisingAndSlope of = rising_and_slope(a[i], x);
    value[i] = multiply_add(weight, of.log, value[i]);
    slope[i] = multiply_add(weight, of.slope, slope[i]);
  }
}

void value_weights_batch(const double* x, const double* w, size_t n, const double* a, double* __restrict value,
                         double* __restrict slope) {
  double sum[4][64] = {};
  double derivative[4][64] = {};
  for (size_t j = 0; j < n; ++j) add_pair(w[j], x[j], a, sum[j & 3], derivative[j & 3]);
  totals_of(sum, value);
  totals_of(derivative, slope);
}
