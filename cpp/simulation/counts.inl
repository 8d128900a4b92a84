// Counts for lanes of the simulator, as text for each instruction-set level (simulation/kernels.isa.cpp): from Polya
// urns, and binomials from theta.

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

// Masses C(size, x) (yes)_x (no)_{size - x} with a scale that keeps the rising factorials between underflow and
// overflow, summed, then searched.
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
  alignas(64) std::uint64_t found[n];  // of the rarer outcome
  alignas(64) double rarer[n];
  alignas(64) double other[n];
  alignas(64) double v[n];
  std::uint32_t index[n];
  std::uint64_t open = 0;
  next_words(*lanes, word);
  for (std::size_t i = 0; i < n; ++i) {
    rarer[i] = yes[i] < no[i] ? yes[i] : no[i];
    other[i] = yes[i] < no[i] ? no[i] : yes[i];
    v[i] = to_uniform(word[i]);
    open |= v[i] * (yes[i] + no[i]) < size[i] * rarer[i] ? lane_bit.of[i] : 0;
    found[i] = 0;
  }
  std::size_t n_open = list_lanes(open, index);
  alignas(64) double u[n];
  alignas(64) double odds[n];
  alignas(64) double left[n];
  alignas(64) double mass[n];
  alignas(64) double below[n];
  alignas(64) double p[n];
  alignas(64) double q[n];
  alignas(64) double log_mass[n];
  alignas(64) std::uint64_t x[n];
  double largest = 0.0;
  std::size_t padded = (n_open + 3) / 4 * 4;
  for (std::size_t r = 0; r < padded; ++r) {  // the padding repeats a lane, and searches nothing
    const std::uint32_t i = index[r < n_open ? r : 0];
    u[r] = r < n_open ? 1.0 - v[i] : 0.0;
    odds[r] = rarer[i];
    mass[r] = other[i];
    left[r] = size[i];
    largest = left[r] > largest ? left[r] : largest;
  }
  for (std::size_t r = 0; r < padded; ++r) {
    p[r] = odds[r] / (odds[r] + mass[r]);
    odds[r] /= mass[r];
    q[r] = 1.0 - p[r];
  }
  logs_of<n>(q, padded, log_mass);
  for (std::size_t r = 0; r < padded; ++r) {  // log1p_of(-p)
    log_mass[r] = left[r] * (log_mass[r] + (-p[r] - (q[r] - 1.0)) / q[r]);
  }
  exps_of<n>(log_mass, padded, mass);
  for (std::size_t r = 0; r < padded; ++r) {
    below[r] = mass[r];
    x[r] = 0;
  }
  constexpr std::size_t stride = 4;  // steps between two looks at who is done
  for (std::size_t j = 0; static_cast<double>(j) < largest; j += stride) {
    const double* inverse = inverses.of + j;
    std::int64_t searching = 0;
#pragma omp simd reduction(+ : searching)
    for (std::size_t r = 0; r < padded; ++r) {
      double m = mass[r];
      double sum = below[r];
      double rest = left[r];
      std::uint64_t steps = x[r];
      for (std::size_t step = 0; step < stride; ++step) {
        steps += u[r] > sum ? 1 : 0;
        m *= rest * odds[r] * inverse[step];  // zero from the size on, where rest is zero
        rest -= 1.0;
        sum += m;
      }
      mass[r] = m;
      below[r] = sum;
      left[r] = rest;
      x[r] = steps;
      searching += u[r] > sum ? 1 : 0;
    }
    if (static_cast<std::size_t>(searching + 3) / 4 * 8 > padded) continue;
    std::size_t kept = 0;  // half of them are done, or all: the others move up
    for (std::size_t r = 0; r < n_open; ++r) {
      found[index[r]] = x[r];  // again later, for who stays
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
  for (std::size_t r = 0; r < n_open; ++r) found[index[r]] = x[r];
  for (std::size_t i = 0; i < n; ++i) {
    // The masses sum to 1 - 1e-15 or so: a u beyond that sum has run on.
    const double steps = double_of(found[i] | 0x4330000000000000u) - 0x1.0p52;
    const double of_rarer = steps < size[i] ? steps : size[i];
    successes[i] = yes[i] > no[i] ? size[i] - of_rarer : of_rarer;
  }
}
