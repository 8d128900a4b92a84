// Products of small counts, a (a+1) ... (a+x-1), and the groups of one and of two categories that are done by them;
// text for a namespace of each instruction-set level.

// z (z+1) ... (z+15), with t = z (z + 15)
inline double sixteen_factors(double z) {
  const double t = z * (z + 15.0);
  return ((t * (t + 14.0)) * ((t + 26.0) * (t + 36.0))) * (((t + 44.0) * (t + 50.0)) * ((t + 54.0) * (t + 56.0)));
}

inline uint64_t as_whole(double x) { return bits_of(x + 4503599627370496.0) & 0x000fffffffffffffULL; }

// a (a+1) ... (a+n-1) for n < 32: a run of 1, 2, 4, 8 and 16 factors for each bit of n, each starting after the runs
// below it. No logarithm, no division.
struct Rising {
  double product;  // without the run of 16
  double last;     // where that one starts
};

inline Rising short_rising_of(double a, uint64_t n) {
  const double z2 = a + ((n & 1) != 0 ? 1.0 : 0.0);
  const double z4 = z2 + ((n & 2) != 0 ? 2.0 : 0.0);
  const double z8 = z4 + ((n & 4) != 0 ? 4.0 : 0.0);
  const double z16 = z8 + ((n & 8) != 0 ? 8.0 : 0.0);
  const double one = (n & 1) != 0 ? a : 1.0;
  const double two = (n & 2) != 0 ? z2 * (z2 + 1.0) : 1.0;
  const double t = z4 * (z4 + 3.0);
  const double four = (n & 4) != 0 ? t * (t + 2.0) : 1.0;
  const double eight = (n & 8) != 0 ? eight_factors(z8) : 1.0;
  return {(one * two) * (four * eight), z16};
}

inline double rising_of(double a, uint64_t n) {
  const Rising low = short_rising_of(a, n);
  return low.product * ((n & 16) != 0 ? sixteen_factors(low.last) : 1.0);
}

// The product of two of them, x + y < 32: one run of 16 at most
inline double two_risings_of(double a, uint64_t x, double b, uint64_t y) {
  const Rising of_a = short_rising_of(a, x);
  const Rising of_b = short_rising_of(b, y);
  const double sixteen = sixteen_factors((x & 16) != 0 ? of_a.last : of_b.last);
  return (of_a.product * of_b.product) * (((x | y) & 16) != 0 ? sixteen : 1.0);
}

// At most three factors from a, by the last two bits of n
inline double first_factors(double a, uint64_t n) {
  const double second = a + ((n & 1) != 0 ? 1.0 : 0.0);
  return ((n & 1) != 0 ? a : 1.0) * ((n & 2) != 0 ? second * (second + 1.0) : 1.0);
}

// Runs of four factors: those of a come first, then those of b. RatioProduct j begins at 4 j after a, or 4 j - of_a
// after b.
template <int run>
inline double runs_of_four(double a, double b, double of_a, double end, bool is_last_sure) {
  constexpr double at = 4.0 * run;
  const bool in_a = of_a > at;
  const double z = (in_a ? a : b) + (at - (in_a ? 0.0 : of_a));
  const double t = z * (z + 3.0);
  const double four = t * (t + 2.0);
  const double factor = is_last_sure || end > at ? four : 1.0;
  if constexpr (run == 0) {
    return factor;
  } else {
    return factor * runs_of_four<run - 1>(a, b, of_a, end, true);
  }
}

// 64 products of two where x + y has `runs` runs of four, or one less and four factors left. noinline: GCC outlines
// cold parts of the switch into another section, far from the code of their level.
template <int runs>
__attribute__((noinline)) void two_risings_of_one_total(const TwoCategoryBlock& p, double* __restrict out) {
  for (int i = 0; i < 64; ++i) {
    const uint64_t x = p.x[i];
    const uint64_t y = p.y[i];
    const double few = first_factors(p.a[i], x) * first_factors(p.b[i], y);
    if constexpr (runs == 0) {
      out[i] = few;
    } else {
      const double of_a = as_double(x & 28);
      const double end = as_double((x & 28) + (y & 28));
      out[i] = few * runs_of_four<runs - 1>(p.a[i] + as_double(x & 3), p.b[i] + as_double(y & 3), of_a, end, false);
    }
  }
}

void two_risings_of_one_total(const TwoCategoryBlock& p, uint64_t total, double* __restrict out) {
  switch (total >> 2) {
    case 0: return two_risings_of_one_total<0>(p, out);
    case 1: return two_risings_of_one_total<1>(p, out);
    case 2: return two_risings_of_one_total<2>(p, out);
    case 3: return two_risings_of_one_total<3>(p, out);
    case 4: return two_risings_of_one_total<4>(p, out);
    case 5: return two_risings_of_one_total<5>(p, out);
    case 6: return two_risings_of_one_total<6>(p, out);
    default: return two_risings_of_one_total<7>(p, out);
  }
}

// The same for n < 64
inline double long_rising_of(double a, uint64_t n) {
  const double last = a + as_double(n & 31);
  return rising_of(a, n) * ((n & 32) != 0 ? sixteen_factors(last) * sixteen_factors(last + 16.0) : 1.0);
}

// 1/a + 1/(a+1) + ... + 1/(a+n-1) for n < 32, by the same runs: each is its product's derivative over its product, and
// only their sum is divided.
struct Fraction {
  double numerator;
  double denominator;
};

inline Fraction add(Fraction p, Fraction q) {
  return {multiply_add(p.numerator, q.denominator, q.numerator * p.denominator), p.denominator * q.denominator};
}
inline Fraction when(bool on, Fraction p) { return {on ? p.numerator : 0.0, on ? p.denominator : 1.0}; }

// Product and derivative by t of (t + c) (t + d)
inline Fraction pair_slope(double t, double c, double d) { return {multiply_add(2.0, t, c + d), (t + c) * (t + d)}; }

inline Fraction times(double factor, Fraction p) { return {factor * p.numerator, p.denominator}; }

inline double reciprocals_below_32(double a, uint64_t n) {
  const double z2 = a + ((n & 1) != 0 ? 1.0 : 0.0);
  const double z4 = z2 + ((n & 2) != 0 ? 2.0 : 0.0);
  const double z8 = z4 + ((n & 4) != 0 ? 4.0 : 0.0);
  const double z16 = z8 + ((n & 8) != 0 ? 8.0 : 0.0);
  const double t4 = z4 * (z4 + 3.0);
  const double t8 = z8 * (z8 + 7.0);
  const double t16 = z16 * (z16 + 15.0);
  const Fraction low = add(when((n & 1) != 0, Fraction{1.0, a}),
                           when((n & 2) != 0, Fraction{multiply_add(2.0, z2, 1.0), z2 * (z2 + 1.0)}));
  const Fraction four = when((n & 4) != 0, times(multiply_add(2.0, z4, 3.0), pair_slope(t4, 0.0, 2.0)));
  const Fraction eight =
      when((n & 8) != 0, times(multiply_add(2.0, z8, 7.0), add(pair_slope(t8, 0.0, 6.0), pair_slope(t8, 10.0, 12.0))));
  const Fraction sixteen =
      when((n & 16) != 0,
           times(multiply_add(2.0, z16, 15.0), add(add(pair_slope(t16, 0.0, 14.0), pair_slope(t16, 26.0, 36.0)),
                                                   add(pair_slope(t16, 44.0, 50.0), pair_slope(t16, 54.0, 56.0)))));
  const Fraction all = add(add(low, four), add(eight, sixteen));
  return all.numerator / all.denominator;
}

// Whether the products of the loops over bits neither overflow nor vanish.
inline bool products_hold(double sum, uint64_t total) {
  const bool few = ((total >> 5) == 0) & (sum <= largest_short_product);
  const bool many = ((total >> 6) == 0) & (sum <= largest_long_product);
  return few | many;  // no short cuts: a branch would keep the loop scalar
}

// out_i = a_i (a_i+1) ... (a_i+n-1) of 64 lanes with the same n: only the runs that n has
void same_rising(const double* __restrict a, uint64_t n, double* __restrict out) {
  for (int i = 0; i < 64; ++i) out[i] = (n & 1) != 0 ? a[i] : 1.0;
  double from = (n & 1) != 0 ? 1.0 : 0.0;
  if ((n & 2) != 0) {
    for (int i = 0; i < 64; ++i) out[i] *= (a[i] + from) * (a[i] + (from + 1.0));
    from += 2.0;
  }
  if ((n & 4) != 0) {
    for (int i = 0; i < 64; ++i) {
      const double t = (a[i] + from) * (a[i] + (from + 3.0));
      out[i] *= t * (t + 2.0);
    }
    from += 4.0;
  }
  if ((n & 8) != 0) {
    for (int i = 0; i < 64; ++i) out[i] *= eight_factors(a[i] + from);
    from += 8.0;
  }
  for (; n >= 16; n -= 16, from += 16.0) {
    for (int i = 0; i < 64; ++i) out[i] *= sixteen_factors(a[i] + from);
  }
}

// A row for which products overflow or vanish has pmf 0; no lane affects another.
uint64_t two_categories(const TwoCategoryBlock* block, const double* choose, double* __restrict pmf,
                        double* __restrict log_pmf) {
  const TwoCategoryBlock& p = *block;
  alignas(64) double sum[64], divisor[64];
  alignas(64) uint64_t total[64];
  uint64_t differ = 0;
  uint64_t any = 0;
  uint64_t out_of_range = 0;
  for (int i = 0; i < 64; ++i) {
    sum[i] = p.a[i] + p.b[i];
    total[i] = p.x[i] + p.y[i];
    differ |= total[i] ^ (p.x[0] + p.y[0]);
    any |= total[i] | p.x[i] | p.y[i];  // a negative count may wrap the total
    const bool fits = (p.a[i] >= smallest_vector_concentration) & (p.b[i] >= smallest_vector_concentration) &
                      (sum[i] <= largest_short_product);
    out_of_range |= fits ? 0 : 1;
  }
  if (differ == 0 && total[0] < 64) {
    same_rising(sum, total[0], divisor);
  } else if (any < 32) {
    for (int i = 0; i < 64; ++i) divisor[i] = rising_of(sum[i], total[i]);
  } else {
    for (int i = 0; i < 64; ++i) divisor[i] = long_rising_of(sum[i], total[i]);
  }
  if (differ == 0 && any < 32) {
    two_risings_of_one_total(p, total[0], pmf);
  } else if (any < 32) {
    for (int i = 0; i < 64; ++i) pmf[i] = two_risings_of(p.a[i], p.x[i], p.b[i], p.y[i]);
  } else {
    for (int i = 0; i < 64; ++i) pmf[i] = rising_of(p.a[i], p.x[i]) * rising_of(p.b[i], p.y[i]);
  }
  for (int i = 0; i < 64; ++i) pmf[i] *= choose[(total[i] & 63) * 32 + (p.x[i] & 31)] / divisor[i];
  if (any >= 32 || out_of_range != 0) {
    for (int i = 0; i < 64; ++i) {
      const double smallest = p.a[i] < p.b[i] ? p.a[i] : p.b[i];
      const bool fits = (((p.x[i] | p.y[i]) >> 5) == 0) & (smallest >= smallest_vector_concentration) &
                        products_hold(sum[i], total[i]);
      pmf[i] = fits ? pmf[i] : 0.0;
    }
  }
  logs_of(pmf, 64, log_pmf);
  uint64_t to_do[64];  // in two loops, which are both vectorised
  for (int i = 0; i < 64; ++i) {
    const bool done = (pmf[i] > 1e-280) & (pmf[i] < almost_one);
    to_do[i] = done ? 0 : 1;
  }
  uint64_t rest = 0;
  for (uint64_t i = 0; i < 64; ++i) rest |= to_do[i] << i;
  return rest;
}

// One run of factors of prod (z_j + r) / z_j: their product f, and how much more the product of the f + r is, without
// a difference. `append` adds a run to all before it.
struct RatioProduct {
  double base;
  double excess;
};

inline RatioProduct append(RatioProduct p, RatioProduct q) {
  return {p.base * q.base, multiply_add(p.excess, q.base + q.excess, p.base * q.excess)};
}
inline RatioProduct when(bool on, RatioProduct p) { return {on ? p.base : 1.0, on ? p.excess : 0.0}; }

// 2 m factors from z: products of pairs z (z + 2 m - 1) + c, all of which have d more at z + r
inline double excess_of(double z, double r, double last) { return r * multiply_add(2.0, z, r + last); }
inline RatioProduct run_of_two(double z, double r) { return {z * (z + 1.0), excess_of(z, r, 1.0)}; }
inline RatioProduct pair_of(double z, double last, double c, double d) { return {multiply_add(z, last, c), d}; }
inline RatioProduct run_of_four(double z, double r) {
  const double last = z + 3.0;
  const double d = excess_of(z, r, 3.0);
  return append(RatioProduct{z * last, d}, pair_of(z, last, 2.0, d));
}
inline RatioProduct run_of_eight(double z, double r) {
  const double last = z + 7.0;
  const double d = excess_of(z, r, 7.0);
  return append(append(RatioProduct{z * last, d}, pair_of(z, last, 6.0, d)),
                append(pair_of(z, last, 10.0, d), pair_of(z, last, 12.0, d)));
}

inline RatioProduct run_of_sixteen(double z, double r) { return append(run_of_eight(z, r), run_of_eight(z + 8.0, r)); }

inline RatioProduct run_below_32(double z, double r, uint64_t n) {
  const RatioProduct low =
      append(when((n & 1) != 0, RatioProduct{z, r}), when((n & 2) != 0, run_of_two(z + as_double(n & 1), r)));
  const RatioProduct four = when((n & 4) != 0, run_of_four(z + as_double(n & 3), r));
  const RatioProduct eight = when((n & 8) != 0, run_of_eight(z + as_double(n & 7), r));
  return append(append(low, four), append(eight, when((n & 16) != 0, run_of_sixteen(z + as_double(n & 15), r))));
}

void one_category(const double* __restrict a, const double* __restrict r, const double* __restrict total,
                  double* __restrict out) {
  double largest = 0.0;
  for (int i = 0; i < 64; ++i) largest = total[i] > largest ? total[i] : largest;
  if (largest < 32.0) {
    for (int i = 0; i < 64; ++i) {
      const RatioProduct all = run_below_32(a[i], r[i], as_whole(total[i]));
      out[i] = all.excess / all.base;
    }
    return;
  }
  for (int i = 0; i < 64; ++i) {
    const uint64_t n = as_whole(total[i]);
    const double last = a[i] + as_double(n & 31);
    const RatioProduct rest =
        when((n & 32) != 0, append(run_of_sixteen(last, r[i]), run_of_sixteen(last + 16.0, r[i])));
    const RatioProduct all = append(run_below_32(a[i], r[i], n), rest);
    out[i] = all.excess / all.base;
  }
}
