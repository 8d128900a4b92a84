// CHECK and CHECK_CLOSE: print where and what failed, count, continue; main ends with `return check::report();`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace check {

inline int failures = 0;
inline int passes = 0;

inline void record(bool ok, const char* what, const char* file, int line) {
  ++(ok ? passes : failures);
  if (!ok) std::printf("%s:%d: failed: %s\n", file, line, what);
}

// |value - expected| <= tolerance * max(1, |expected|); equal infinities are close, NaN is not close to anything.
inline void record_close(double value, double expected, double tolerance, const char* what, const char* file,
                         int line) {
  const bool ok = value == expected || std::abs(value - expected) <= tolerance * std::max(1.0, std::abs(expected));
  record(ok, what, file, line);
  if (!ok) std::printf("  got %.17g, expected %.17g\n", value, expected);
}

// Whether call() throws an Exception.
template <class Exception, class Call>
bool throws(Call&& call) {
  try {
    call();
  } catch (const Exception&) {
    return true;
  }
  return false;
}

inline int report() {
  std::printf("%d checks, %d failed\n", passes + failures, failures);
  return failures == 0 && passes > 0 ? 0 : 1;
}

}  // namespace check

#define CHECK(condition) check::record(static_cast<bool>(condition), #condition, __FILE__, __LINE__)
#define CHECK_CLOSE(value, expected, tolerance) \
  check::record_close(value, expected, tolerance, #value " near " #expected, __FILE__, __LINE__)
