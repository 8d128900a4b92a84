// Vector passes of the simulator: plain loops over 64 lanes. See simulate_kernels.hpp for what each promises.
#include "simulate_kernels.hpp"

namespace hbm_fast {
namespace HBM_LEVEL {
namespace {

#include "elementary.inl"

constexpr std::size_t n = lane_count;
constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;

HBM_INLINE std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

HBM_INLINE std::uint64_t rotate(std::uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

HBM_INLINE std::uint64_t next(std::uint64_t& s0, std::uint64_t& s1, std::uint64_t& s2, std::uint64_t& s3) {
  const std::uint64_t result = rotate(s0 + s3, 23) + s0;
  const std::uint64_t t = s1 << 17;
  s2 ^= s0;
  s3 ^= s1;
  s1 ^= s2;
  s0 ^= s3;
  s2 ^= t;
  s3 = rotate(s3, 45);
  return result;
}

void next_words(LaneStates& lanes, std::uint64_t* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = next(lanes.s[0][i], lanes.s[1][i], lanes.s[2][i], lanes.s[3][i]);
}

// Lanes as the bits of a word.
struct LaneBits {
  std::uint64_t of[n] = {};
  constexpr LaneBits() {
    for (std::size_t i = 0; i < n; ++i) of[i] = std::uint64_t{1} << i;
  }
};
constexpr LaneBits lane_bit;

// The lanes whose bits are set, in order; how many.
HBM_INLINE std::size_t list_lanes(std::uint64_t bits, std::uint32_t* lanes) {
  std::size_t size = 0;
  for (; bits != 0; bits &= bits - 1) lanes[size++] = static_cast<std::uint32_t>(__builtin_ctzll(bits));
  return size;
}

// A stream of one lane's own for what the lock-step cannot finish, addressed by words it drew.
struct Spare {
  std::uint64_t s[4];
  Spare(std::uint64_t a, std::uint64_t b)
      : s{mix(a + golden) | 1, mix(b + golden), mix(a + 2 * golden), mix(b + 2 * golden)} {}
  double uniform() { return to_uniform(next(s[0], s[1], s[2], s[3])); }
};

// One Marsaglia-Tsang trial from a normal x and an exponential e, t = 1 + c x: whether it is accepted, and log of the
// variate.
HBM_INLINE bool trial(double x, double e, double t, double log_t, double d, double c, double log_d, double boost,
                      double& log_gamma) {
  const double x2 = x * x;
  const double direct = d * (t * t * t - 1.0 - 3.0 * log_t) - 0.5 * x2;
  const double series = x2 * x2 * (c * c * (1.0 / 12.0));  // where `direct` would be rounding alone
  const double h = d > 1e8 ? series : direct;
  log_gamma = log_d + 3.0 * log_t - (e - h) * boost;
  return (1.0 + c * x > 0.0) & (e > h);
}

HBM_INLINE double positive_or_one(double x) { return x > 0.0 ? x : 1.0; }

void seed(const std::uint64_t* a, const std::uint64_t* b, LaneStates* lanes) {
  for (std::size_t i = 0; i < n; ++i) lanes->s[0][i] = mix(a[i]) | 1;
  for (std::size_t i = 0; i < n; ++i) lanes->s[1][i] = mix(b[i]);
  for (std::size_t i = 0; i < n; ++i) lanes->s[2][i] = mix(a[i] + golden);
  for (std::size_t i = 0; i < n; ++i) lanes->s[3][i] = mix(b[i] + golden);
}

void log_exponentials(LaneStates* lanes, std::size_t n_rows, double* rows) {
  alignas(64) std::uint64_t w[n];
  alignas(64) double e[n];
  for (std::size_t row = 0; row < n_rows; ++row) {
    next_words(*lanes, w);
    for (std::size_t i = 0; i < n; ++i) e[i] = -log_of(to_uniform(w[i]));
    for (std::size_t i = 0; i < n; ++i) rows[row * n + i] = log_of(e[i]);
  }
}

void concentrations(const double* log_alpha, const double* log_beta, double* out) {
  for (std::size_t i = 0; i < n; ++i) {
    const double sum = log_alpha[i] + log_beta[i];
    const double a = exp_of(sum < largest_log_concentration ? sum : largest_log_concentration);
    out[i] = a > smallest_concentration ? a : smallest_concentration;
  }
}

bool exponentials(const double* x, std::size_t size, double* out) {
  std::uint64_t outside = 0;
  for (std::size_t i = 0; i < size; ++i) {
    out[i] = exp_of(x[i]);
    outside |= ((x[i] < -708.0) & (x[i] > -746.0)) | (x[i] > 709.0) ? 1 : 0;
  }
  return outside == 0;
}

void walk(std::uint64_t from, std::uint64_t step, std::size_t size, std::uint64_t* out) {
  std::uint64_t at[4] = {from, from + step, from + 2 * step, from + 3 * step};
  for (std::size_t i = 0; i < size; i += 4) {
    for (std::size_t j = 0; j < 4; ++j) {
      out[i + j] = at[j];
      at[j] += 4 * step;
    }
  }
}

void words(const std::uint64_t* a, const std::uint64_t* b, std::uint64_t* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = mix(mix(a[i]) + b[i]);
}

void urn(LaneStates* lanes, const double* yes, const double* no, const double* size, std::size_t largest,
         double* successes) {
  alignas(64) double y[n];
  alignas(64) double total[n];
  LaneStates local = *lanes;
  for (std::size_t i = 0; i < n; ++i) {
    y[i] = 0.0;
    total[i] = yes[i] + no[i];
  }
  for (std::size_t j = 0; j < largest; ++j) {
    const double drawn = static_cast<double>(j);
    for (std::size_t i = 0; i < n; ++i) {
      const double u = to_uniform(next(local.s[0][i], local.s[1][i], local.s[2][i], local.s[3][i]));
      const double gain = u * (total[i] + drawn) < yes[i] + y[i] ? 1.0 : 0.0;
      y[i] += drawn < size[i] ? gain : 0.0;
    }
  }
  *lanes = local;
  for (std::size_t i = 0; i < n; ++i) successes[i] = y[i];
}

struct Inverses {
  double of[largest_search + 1] = {};  // 1 / (x + 1)
  constexpr Inverses() {
    for (std::size_t x = 0; x <= largest_search; ++x) of[x] = 1.0 / static_cast<double>(x + 1);
  }
};
constexpr Inverses inverses;

// Masses C(size, x) (yes)_x (no)_{size - x} with a scale that keeps the rising factorials between underflow and overflow,
// summed, then searched.
void polya(const double* yes, const double* no, std::size_t size, std::size_t n_rounds, const std::uint64_t* word,
           std::int64_t* successes) {
  constexpr std::size_t m = polya_lanes;
  alignas(64) double scale[m];
  alignas(64) double scaled[m];
  alignas(64) double rising[m];
  alignas(64) double sum[m];
  alignas(64) double table[(largest_urn + 1) * m];
  const double whole = static_cast<double>(size);
#pragma omp simd
  for (std::size_t i = 0; i < m; ++i) {
    scale[i] = 2.71828182845904523536 / (yes[i] + no[i] + whole);
    scaled[i] = no[i] * scale[i];
    table[size * m + i] = 1.0;
    rising[i] = 1.0;
  }
  for (std::size_t j = 0; j < size; ++j) {  // row size - j: (no)_j
    const double drawn = static_cast<double>(j);
    double* row = table + (size - j - 1) * m;
#pragma omp simd
    for (std::size_t i = 0; i < m; ++i) {
      rising[i] *= scaled[i] + drawn * scale[i];
      row[i] = rising[i];
    }
  }
#pragma omp simd
  for (std::size_t i = 0; i < m; ++i) {
    scaled[i] = yes[i] * scale[i];
    rising[i] = 1.0;
    sum[i] = 0.0;
  }
  double coefficient = 1.0;
  for (std::size_t x = 0; x <= size; ++x) {
    const double drawn = static_cast<double>(x);
    double* row = table + x * m;
#pragma omp simd
    for (std::size_t i = 0; i < m; ++i) {
      sum[i] += row[i] * rising[i] * coefficient;
      rising[i] *= scaled[i] + drawn * scale[i];
      row[i] = sum[i];
    }
    coefficient *= static_cast<double>(size - x) * inverses.of[x];
  }
  for (std::size_t round = 0; round < n_rounds; ++round, word += m, successes += m) {
    alignas(64) double target[m];
    alignas(64) std::int64_t below[m] = {};
    for (std::size_t i = 0; i < m; ++i) target[i] = sum[i] * to_uniform(word[i]);
    for (std::size_t x = 0; x < size; ++x) {
      const double* row = table + x * m;
#pragma omp simd
      for (std::size_t i = 0; i < m; ++i) below[i] += row[i] < target[i] ? 1 : 0;
    }
    for (std::size_t i = 0; i < m; ++i) successes[i] = below[i];
  }
}

// One binomial a lane by sequential search from zero (Devroye 1986, X.4) of the rarer outcome. A zero is certain where
// u exceeds n p >= P(X > 0) (Bernoulli's inequality; the search counts u from the top): most lanes end there, and the
// others are searched side by side.
void binomials(LaneStates* lanes, const double* size, const double* yes, const double* no, double* successes) {
  alignas(64) std::uint64_t word[n];
  std::uint32_t index[n];
  std::uint64_t open = 0;
  next_words(*lanes, word);
  for (std::size_t i = 0; i < n; ++i) {
    const double rarer = yes[i] < no[i] ? yes[i] : no[i];
    open |= to_uniform(word[i]) * (yes[i] + no[i]) < size[i] * rarer ? lane_bit.of[i] : 0;
    successes[i] = yes[i] > no[i] ? size[i] : 0.0;
  }
  std::size_t n_open = list_lanes(open, index);
  if (n_open == 0) return;
  alignas(64) double u[n];
  alignas(64) double odds[n];
  alignas(64) double left[n];
  alignas(64) double mass[n];
  alignas(64) double below[n];
  alignas(64) std::int64_t x[n];
  double largest = 0.0;
  std::size_t padded = (n_open + 3) / 4 * 4;
  for (std::size_t r = 0; r < padded; ++r) {  // the padding repeats a lane, and searches nothing
    const std::uint32_t i = index[r < n_open ? r : 0];
    u[r] = r < n_open ? 1.0 - to_uniform(word[i]) : 0.0;
    odds[r] = yes[i] < no[i] ? yes[i] : no[i];
    mass[r] = yes[i] < no[i] ? no[i] : yes[i];
    left[r] = size[i];
    largest = left[r] > largest ? left[r] : largest;
  }
  for (std::size_t r = 0; r < padded; ++r) {
    const double p = odds[r] / (odds[r] + mass[r]);
    odds[r] /= mass[r];
    mass[r] = exp_of(left[r] * log1p_of(-p));
    below[r] = mass[r];
    x[r] = 0;
  }
  const auto settle = [&](std::size_t r) {
    const std::uint32_t i = index[r];
    // The masses sum to 1 - 1e-15 or so: a u beyond that sum has run on.
    const double steps = static_cast<double>(x[r]);
    const double found = steps < size[i] ? steps : size[i];
    successes[i] = yes[i] > no[i] ? size[i] - found : found;
  };
  constexpr std::size_t stride = 4;  // steps between two looks at who is done
  for (std::size_t j = 0; static_cast<double>(j) < largest; j += stride) {
    const double* inverse = inverses.of + j;
    std::int64_t searching = 0;
#pragma omp simd reduction(+ : searching)
    for (std::size_t r = 0; r < padded; ++r) {
      double m = mass[r];
      double sum = below[r];
      double rest = left[r];
      std::int64_t found = x[r];
      for (std::size_t step = 0; step < stride; ++step) {
        found += u[r] > sum ? 1 : 0;
        m *= rest * odds[r] * inverse[step];  // zero from the size on, where rest is zero
        rest -= 1.0;
        sum += m;
      }
      mass[r] = m;
      below[r] = sum;
      left[r] = rest;
      x[r] = found;
      searching += u[r] > sum ? 1 : 0;
    }
    if (static_cast<std::size_t>(searching + 3) / 4 * 8 > padded) continue;
    std::size_t kept = 0;  // half of them are done, or all: the others move up
    for (std::size_t r = 0; r < n_open; ++r) {
      settle(r);  // again later, for who stays
      const bool stays = u[r] > below[r];
      index[kept] = index[r];
      u[kept] = u[r];
      odds[kept] = odds[r];
      left[kept] = left[r];
      mass[kept] = mass[r];
      below[kept] = below[r];
      x[kept] = x[r];
      kept += stays;
    }
    n_open = kept;
    padded = (n_open + 3) / 4 * 4;
    for (std::size_t r = n_open; r < padded; ++r) u[r] = 0.0;
    if (n_open == 0) break;
  }
  for (std::size_t r = 0; r < n_open; ++r) settle(r);
}

void prepare(const double* shape, GammaShape* prepared) {
  for (std::size_t i = 0; i < n; ++i) {
    const double a = shape[i];
    const double d = (a < 1.0 ? a + 1.0 : a) - 1.0 / 3.0;
    prepared->d[i] = d;
    prepared->c[i] = 1.0 / __builtin_sqrt(9.0 * d);
    prepared->log_d[i] = log_of(d);
    const double inverse = 1.0 / a;
    prepared->boost[i] = a < 1.0 ? inverse : 0.0;
  }
}

void spread(const GammaShape* from, std::size_t lane, std::size_t begin, std::size_t end, GammaShape* to) {
  const double d = from->d[lane];
  const double c = from->c[lane];
  const double log_d = from->log_d[lane];
  const double boost = from->boost[lane];
  for (std::size_t i = begin; i < end; ++i) {
    to->d[i] = d;
    to->c[i] = c;
    to->log_d[i] = log_d;
    to->boost[i] = boost;
  }
}

// The variates that a pass over 64 lanes refused: each has a stream of its own, addressed by two words that its lane
// drew, and tries there until a trial is accepted. They are few, and try side by side.
struct Refused {
  std::uint64_t s[4][2 * n];
  double d[2 * n];
  double c[2 * n];
  double log_d[2 * n];
  double boost[2 * n];
  double accepted[2 * n];
  double log_gamma[2 * n];
  double* out[2 * n];
  std::size_t count = 0;

  void add(std::uint64_t bits, const std::uint64_t* a, const std::uint64_t* b, const GammaShape& shape,
           double* log_gamma_lanes) {
    std::uint32_t lanes[n];
    const std::size_t n_refused = list_lanes(bits, lanes);
    for (std::size_t r = 0; r < n_refused; ++r, ++count) {
      const std::uint32_t i = lanes[r];
      s[0][count] = a[i];
      s[1][count] = b[i];
      d[count] = shape.d[i];
      c[count] = shape.c[i];
      log_d[count] = shape.log_d[i];
      boost[count] = shape.boost[i];
      out[count] = log_gamma_lanes + i;
    }
  }

  // The padding repeats the first.
  std::size_t pad() {
    std::size_t padded = count;
    for (; padded % 4 != 0; ++padded) copy(0, padded);
    return padded;
  }

  void copy(std::size_t from, std::size_t to) {
    for (auto& words : s) words[to] = words[from];
    d[to] = d[from];
    c[to] = c[from];
    log_d[to] = log_d[from];
    boost[to] = boost[from];
  }

  void settle() {
    if (count == 0) return;
    for (std::size_t r = 0, padded = pad(); r < padded; ++r) {
      const std::uint64_t a = s[0][r];
      const std::uint64_t b = s[1][r];
      s[0][r] = mix(a + golden) | 1;
      s[1][r] = mix(b + golden);
      s[2][r] = mix(a + 2 * golden);
      s[3][r] = mix(b + 2 * golden);
    }
    while (count > 0) {
      for (std::size_t r = 0, padded = pad(); r < padded; ++r) {
        const double radius = __builtin_sqrt(-2.0 * log_of(draw(r)));
        double sine;
        double cosine;
        sin_cos_turn(draw(r), sine, cosine);
        const double first = -log_of(draw(r));
        const double second = -log_of(draw(r));
        double log_first;
        double log_second;
        const double x = radius * cosine;
        const double y = radius * sine;
        const double t = positive_or_one(1.0 + c[r] * x);
        const double v = positive_or_one(1.0 + c[r] * y);
        const bool takes_first = trial(x, first, t, log_of(t), d[r], c[r], log_d[r], boost[r], log_first);
        const bool takes_second = trial(y, second, v, log_of(v), d[r], c[r], log_d[r], boost[r], log_second);
        log_gamma[r] = takes_first ? log_first : log_second;
        accepted[r] = takes_first | takes_second ? 1.0 : 0.0;
      }
      std::size_t left = 0;
      for (std::size_t r = 0; r < count; ++r) {
        if (accepted[r] != 0.0) {
          *out[r] = log_gamma[r];
        } else {
          copy(r, left);
          out[left++] = out[r];
        }
      }
      count = left;
    }
  }

 private:
  double draw(std::size_t r) { return to_uniform(next(s[0][r], s[1][r], s[2][r], s[3][r])); }
};

void gamma_pair(LaneStates* lanes, const GammaShape* first, const GammaShape* second, double* log_first,
                double* log_second) {
  alignas(64) std::uint64_t w[4][n];
  alignas(64) double x[2][n];
  alignas(64) double e[n];
  alignas(64) double t[n];
  alignas(64) double log_t[n];
  for (auto& row : w) next_words(*lanes, row);
  // Box & Muller 1958. Short loops, so that many lanes' logarithms are under way at once; square roots and divisions
  // are slow, and go where the other work is long.
  for (std::size_t i = 0; i < n; ++i) e[i] = -2.0 * log_of(to_uniform(w[0][i]));
  for (std::size_t i = 0; i < n; ++i) {
    const double radius = __builtin_sqrt(e[i]);
    double sine;
    double cosine;
    sin_cos_turn(to_uniform(w[1][i]), sine, cosine);
    x[0][i] = radius * cosine;
    x[1][i] = radius * sine;
  }
  const GammaShape* shapes[2] = {first, second};
  double* outputs[2] = {log_first, log_second};
  Refused refused;
  for (std::size_t half = 0; half < 2; ++half) {
    const GammaShape& shape = *shapes[half];
    double* log_gamma = outputs[half];
    const std::uint64_t* word = w[2 + half];
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < n; ++i) e[i] = -log_of(to_uniform(word[i]));
    for (std::size_t i = 0; i < n; ++i) {
      t[i] = positive_or_one(1.0 + shape.c[i] * x[half][i]);
      log_t[i] = log_of(t[i]);
    }
    for (std::size_t i = 0; i < n; ++i) {
      const bool takes = trial(x[half][i], e[i], t[i], log_t[i], shape.d[i], shape.c[i], shape.log_d[i], shape.boost[i], log_gamma[i]);
      bits |= takes ? 0 : lane_bit.of[i];
    }
    refused.add(bits, word, w[0], shape, log_gamma);
  }
  refused.settle();
}

// Ahrens & Dieter 1974 (GS), from P = (1 + a/e) U and an Exp(1) on: what the vector pass could not accept outright.
double retry_tiny(Spare spare, double a, double p, double e) {
  const double b = 1.0 + a * 0.36787944117144232160;
  for (;;) {
    if (p <= 1.0) {
      const double log_x = log_of(p) / a;
      if (e >= exp_of(log_x)) return log_x;
    } else {
      const double log_x = log_of(-log_of((b - p) / a));
      if (e >= (1.0 - a) * log_x) return log_x;
    }
    p = b * spare.uniform();
    e = -log_of(spare.uniform());
  }
}

void gamma_tiny(LaneStates* lanes, const double* shape, const double* inverse, double* log_gamma) {
  alignas(64) std::uint64_t w[n];
  alignas(64) double p[n];
  std::uint64_t bits = 0;
  next_words(*lanes, w);
  for (std::size_t i = 0; i < n; ++i) {
    p[i] = (1.0 + shape[i] * 0.36787944117144232160) * to_uniform(w[i]);
    log_gamma[i] = log_of(p[i]) * inverse[i];
    bits |= log_gamma[i] < -37.0 ? 0 : lane_bit.of[i];  // the acceptance exp(-x) is 1 to all digits
  }
  std::uint32_t open[n];
  const std::size_t n_open = list_lanes(bits, open);
  for (std::size_t r = 0; r < n_open; ++r) {
    const std::uint32_t i = open[r];
    // exp(-x) >= 1 - x decides nearly all of these from one more word
    const double u = to_uniform(mix(w[i] + golden));
    if (p[i] <= 1.0 && u <= 1.0 - exp_of(log_gamma[i])) continue;
    log_gamma[i] = retry_tiny(Spare(w[i] + golden, ~w[i]), shape[i], p[i], -log_of(u));
  }
}

void normalise_lanes(double* log_gamma, std::size_t n_categories, double* theta) {
  alignas(64) double largest[n];
  alignas(64) double rest[n];
  alignas(64) double log_sum[n];
  for (std::size_t i = 0; i < n; ++i) {
    largest[i] = log_gamma[i];
    rest[i] = -1.0;  // the largest itself
  }
  for (std::size_t k = 1; k < n_categories; ++k) {
    const double* row = log_gamma + k * n;
    for (std::size_t i = 0; i < n; ++i) largest[i] = row[i] > largest[i] ? row[i] : largest[i];
  }
  // first the ones among the weights, which cancel the -1 exactly: the sum of the others keeps its digits
  for (std::size_t k = 0; k < n_categories; ++k) {
    const double* row = log_gamma + k * n;
    for (std::size_t i = 0; i < n; ++i) rest[i] += row[i] == largest[i] ? 1.0 : 0.0;
  }
  for (std::size_t k = 0; k < n_categories; ++k) {
    double* row = log_gamma + k * n;
    double* weight = theta + k * n;
    for (std::size_t i = 0; i < n; ++i) {
      const double w = exp_of(row[i] - largest[i]);
      rest[i] += row[i] == largest[i] ? 0.0 : w;
      weight[i] = w;
    }
  }
  for (std::size_t i = 0; i < n; ++i) log_sum[i] = log1p_of(rest[i]);
  for (std::size_t k = 0; k < n_categories; ++k) {
    double* row = log_gamma + k * n;
    double* weight = theta + k * n;
    for (std::size_t i = 0; i < n; ++i) {
      row[i] = (row[i] - largest[i]) - log_sum[i];
      weight[i] /= 1.0 + rest[i];
    }
  }
}

void normalise_pairs(const double* log_gamma, double* log_theta, double* theta) {
  alignas(64) double gap[n];
  alignas(64) double weight[n];
  for (std::size_t i = 0; i < n; ++i) {
    gap[i] = log_gamma[n + i] - log_gamma[i];
    weight[i] = exp_of(gap[i] < 0.0 ? gap[i] : -gap[i]);  // of the smaller; the larger has one
    const double less = weight[i] / (1.0 + weight[i]);
    const double more = 1.0 / (1.0 + weight[i]);
    theta[2 * i] = gap[i] < 0.0 ? more : less;
    theta[2 * i + 1] = gap[i] < 0.0 ? less : more;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double log_sum = log1p_of(weight[i]);
    log_theta[2 * i] = (gap[i] < 0.0 ? 0.0 : -gap[i]) - log_sum;
    log_theta[2 * i + 1] = (gap[i] < 0.0 ? gap[i] : 0.0) - log_sum;
  }
}

void normalise_row(const double* log_gamma, std::size_t size, double* log_theta, double* theta) {
  // 64 partial sums, then a fixed tree: the same rounding at every vector width
  alignas(64) double part[n];
  alignas(64) double ties[n];
  for (std::size_t i = 0; i < n; ++i) part[i] = log_gamma[0];
  for (std::size_t at = 0; at < size; at += n) {
    const double* block = log_gamma + at;
    const std::size_t end = size - at < n ? size - at : n;
    for (std::size_t i = 0; i < end; ++i) part[i] = block[i] > part[i] ? block[i] : part[i];
  }
  double largest = part[0];
  for (std::size_t i = 1; i < n; ++i) largest = part[i] > largest ? part[i] : largest;
  for (std::size_t i = 0; i < n; ++i) {
    part[i] = 0.0;
    ties[i] = 0.0;
  }
  for (std::size_t at = 0; at < size; at += n) {
    const double* block = log_gamma + at;
    double* weight = theta + at;
    const std::size_t end = size - at < n ? size - at : n;
    for (std::size_t i = 0; i < end; ++i) {
      const double w = exp_of(block[i] - largest);
      weight[i] = w;
      part[i] += block[i] == largest ? 0.0 : w;
      ties[i] += block[i] == largest ? 1.0 : 0.0;
    }
  }
  for (std::size_t half = n / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) {
      part[i] += part[i + half];
      ties[i] += ties[i + half];
    }
  }
  const double rest = (ties[0] - 1.0) + part[0];
  const double log_sum = log1p_of(rest);
  const double scale = 1.0 + rest;
  if (log_theta == nullptr) {
    for (std::size_t i = 0; i < size; ++i) theta[i] /= scale;
    return;
  }
  for (std::size_t i = 0; i < size; ++i) {
    theta[i] /= scale;
    log_theta[i] = (log_gamma[i] - largest) - log_sum;
  }
}

}  // namespace

extern const SimulateKernels simulate_kernels = {
    seed,      log_exponentials, concentrations, exponentials,    walk,          words,         urn,   polya,
    binomials, prepare,          spread,         gamma_pair,      gamma_tiny,    normalise_lanes, normalise_pairs,
    normalise_row};

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
