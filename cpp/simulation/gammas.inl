// Logs of gamma variates for lanes of the simulator, as text for each instruction-set level
// (simulation/kernels.isa.cpp).

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
        accepted[r] = (takes_first | takes_second) ? 1.0 : 0.0;
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
  alignas(64) double u[n];
  alignas(64) double e[n];
  alignas(64) double t[n];
  alignas(64) double log_t[n];
  for (auto& row : w) next_words(*lanes, row);
  // Box & Muller 1958. Square roots and divisions are slow, and go where other operations hide them.
  for (std::size_t i = 0; i < n; ++i) u[i] = to_uniform(w[0][i]);
  log_lanes(u, e);
  for (std::size_t i = 0; i < n; ++i) {
    const double radius = __builtin_sqrt(-2.0 * e[i]);
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
    for (std::size_t i = 0; i < n; ++i) u[i] = to_uniform(word[i]);
    log_lanes(u, e);
    for (std::size_t i = 0; i < n; ++i) t[i] = positive_or_one(1.0 + shape.c[i] * x[half][i]);
    log_lanes(t, log_t);
    for (std::size_t i = 0; i < n; ++i) {
      const bool takes = trial(x[half][i], -e[i], t[i], log_t[i], shape.d[i], shape.c[i], shape.log_d[i],
                               shape.boost[i], log_gamma[i]);
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
  alignas(64) double log_p[n];
  std::uint64_t bits = 0;
  next_words(*lanes, w);
  for (std::size_t i = 0; i < n; ++i) {
    p[i] = (1.0 + shape[i] * 0.36787944117144232160) * to_uniform(w[i]);
  }
  log_lanes(p, log_p);
  for (std::size_t i = 0; i < n; ++i) {
    log_gamma[i] = log_p[i] * inverse[i];
    bits |= log_gamma[i] < -37.0 ? 0 : lane_bit.of[i];  // the acceptance exp(-x) is 1 to all digits
  }
  for (; bits != 0; bits &= bits - 1) {
    const auto i = static_cast<std::size_t>(__builtin_ctzll(bits));
    // exp(-x) >= 1 - x decides nearly all of these from one more word, most of them without x
    const double u = to_uniform(mix(w[i] + golden));
    if (log_gamma[i] < -7.0 && u < 0.999) continue;
    if (p[i] <= 1.0 && u <= 1.0 - exp_of(log_gamma[i])) continue;
    log_gamma[i] = retry_tiny(Spare(w[i] + golden, ~w[i]), shape[i], p[i], -log_of(u));
  }
}
