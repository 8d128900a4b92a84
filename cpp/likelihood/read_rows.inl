// Rows of counts as they lie in memory, gathered for the loops; text for a namespace of each instruction-set level.

template <class T>
void load_two_categories(const void* counts, std::ptrdiff_t row, std::ptrdiff_t category, const double* a,
                         std::ptrdiff_t a_row, std::ptrdiff_t a_category, int n, TwoCategoryBlock* block) {
  const T* x = static_cast<const T*>(counts);
  TwoCategoryBlock& p = *block;
  if (row == 2 && category == 1) {
    for (int i = 0; i < n; ++i) {
      p.x[i] = static_cast<uint64_t>(x[2 * i]);
      p.y[i] = static_cast<uint64_t>(x[2 * i + 1]);
    }
  } else {
    for (int i = 0; i < n; ++i) {
      p.x[i] = static_cast<uint64_t>(x[i * row]);
      p.y[i] = static_cast<uint64_t>(x[i * row + category]);
    }
  }
  if (a_row == 2 && a_category == 1) {
    for (int i = 0; i < n; ++i) {
      p.a[i] = a[2 * i];
      p.b[i] = a[2 * i + 1];
    }
  } else {
    for (int i = 0; i < n; ++i) {
      p.a[i] = a[i * a_row];
      p.b[i] = a[i * a_row + a_category];
    }
  }
  for (int i = n; i < 64; ++i) {
    p.x[i] = p.y[i] = 0;
    p.a[i] = p.b[i] = 1.0;
  }
}

template <class T>
__attribute__((always_inline)) inline T any_of_sixteen(const T* x) {
  T some = 0;
#pragma omp simd reduction(| : some)
  for (size_t i = 0; i < 16; ++i) some = static_cast<T>(some | x[i]);
  return some;
}

// Where a row of counts is not zero, and the counts there; zeros are passed sixteen at a time.
template <class T>
size_t positive(const void* counts, size_t n_categories, uint32_t* __restrict where, uint64_t* __restrict value) {
  const T* x = static_cast<const T*>(counts);
  size_t n = 0;
  const auto take = [&](size_t k) {  // without a branch: a zero is overwritten by the next
    where[n] = static_cast<uint32_t>(k);
    value[n] = static_cast<uint64_t>(x[k]);
    n += x[k] != 0;
  };
  size_t k = 0;
  for (; k + 16 <= n_categories; k += 16) {
    if (any_of_sixteen(x + k) == 0) continue;
    for (size_t i = k; i < k + 16; ++i) take(i);
  }
  for (; k < n_categories; ++k) take(k);
  return n;
}

// The non-zero ones of a row of counts with their concentrations; zeros are passed sixteen at a time.
template <class T>
size_t gather(const void* counts, const double* a, std::ptrdiff_t a_stride, size_t n_categories,
              double* __restrict x_out, double* __restrict a_out, uint64_t* total) {
  const T* x = static_cast<const T*>(counts);
  size_t n = 0;
  uint64_t any = 0;
  const auto take = [&](size_t k) {  // without a branch: a zero is overwritten by the next
    x_out[n] = static_cast<double>(x[k]);
    a_out[n] = a[static_cast<std::ptrdiff_t>(k) * a_stride];
    n += x[k] != 0;
  };
  if (n_categories < 16) {  // too few for their sum to wrap before `any` tells
    uint64_t sum = 0;
    for (size_t k = 0; k < n_categories; ++k) {
      any |= static_cast<uint64_t>(x[k]);
      sum += static_cast<uint64_t>(x[k]);
      take(k);
    }
    *total = any > largest_exact_integer ? any : sum;
    return *total > largest_exact_integer ? 0 : n;
  }
  size_t k = 0;
  for (; k + 16 <= n_categories; k += 16) {
    const T some = any_of_sixteen(x + k);
    if (some == 0) continue;
    any |= static_cast<uint64_t>(some);
    for (size_t i = k; i < k + 16; ++i) take(i);
  }
  for (; k < n_categories; ++k) {
    any |= static_cast<uint64_t>(x[k]);
    take(k);
  }
  if (static_cast<T>(-1) < static_cast<T>(1) && (any >> 63) != 0) {  // a negative one
    *total = ~uint64_t{0};
    return 0;
  }
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (size_t i = 0; i < n; ++i) sum += x_out[i];
  uint64_t exact = largest_exact_integer + 1;
  if (sum < 9007199254740992.0) {
    exact = static_cast<uint64_t>(sum);
  } else if (sum < 9007199254740996.0) {  // doubles skip integers here
    exact = 0;
    for (size_t i = 0; i < n; ++i) exact += static_cast<uint64_t>(x_out[i]);
  }
  *total = exact;
  return n;
}
