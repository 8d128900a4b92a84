// A sum of doubles in twice their precision.
#pragma once

namespace hbm_fast {

struct ExactSum {
  double high = 0.0;
  double low = 0.0;  // what rounding took from the sum

  void add(double x) {
    const double sum = high + x;
    const double part = sum - high;
    low += (high - (sum - part)) + (x - part);
    high = sum;
  }
};

}  // namespace hbm_fast
