// a b + c, as text for a namespace of each translation unit. Built without contraction (cmake/floating_point.cmake), so
// that no compiler decides where a product is rounded: it is fused here and nowhere else, in files that define
// HBM_FUSE_PRODUCTS, at levels that can. Files whose results decide a random branch do not, and round alike at every
// level.
static inline double multiply_add(double a, double b, double c) {
#if defined(HBM_FUSE_PRODUCTS) && (defined(__FMA__) || defined(__ARM_FEATURE_FMA))
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}
