// The logarithm of a rising factorial and its derivatives in the logarithm of the concentration.
#pragma once

namespace hbm_fast {

// Of f = log(a (a+1) ... (a+n-1)) with its derivatives in log a: slope = sum a / (a+j), curvature =
// sum a j / (a+j)^2 >= 0, and shortfall = n - slope = sum j / (a+j), each without cancellation: the slope of the total
// concentration is a difference of shortfalls, which stays exact where a Dirichlet-multinomial is nearly a multinomial.
// third = d curvature / d log a = sum a j (j-a) / (a+j)^3.
struct Rising {
  double value;
  double slope;
  double curvature;
  double shortfall;
  double third;
};

// a = exp(log_a), which may underflow or be infinite; n >= 0 an integer.
Rising rising(double log_a, double a, double n);

// Its value alone.
double rising_value(double log_a, double a, double n);

}  // namespace hbm_fast
