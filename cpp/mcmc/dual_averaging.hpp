// Step sizes found while warming up, then frozen.
#pragma once

#include <cmath>
#include <cstddef>

namespace hbm_fast {

// Dual averaging of log(step) towards a mean acceptance (Hoffman & Gelman 2014, section 3.2, arXiv:1111.4246). The
// constants are not theirs: t0 = 5 for 10 and gamma = 0.2 for 0.05 (kappa = 0.75 is theirs), and the step is pulled to
// the first step itself, not to ten times it. The whitened posterior is nearly a standard normal, so that the first
// step is nearly right: weak, early corrections suffice, and a warm-up of a few dozen steps does not oscillate.
class DualAveraging {
 public:
  DualAveraging(double step, double target)
      : target_(target), centre_(std::log(step)), log_step_(centre_), log_average_(centre_) {}

  void add(double acceptance) {
    n_ += 1.0;
    const double weight = 1.0 / (n_ + 5.0);
    error_ = (1.0 - weight) * error_ + weight * (target_ - acceptance);
    log_step_ = centre_ - std::sqrt(n_) / 0.2 * error_;
    const double forget = std::pow(n_, -0.75);
    log_average_ = forget * log_step_ + (1.0 - forget) * log_average_;
  }
  double step() const { return std::exp(log_step_); }
  double average() const { return std::exp(log_average_); }

 private:
  double target_, centre_, log_step_, log_average_;
  double error_ = 0.0, n_ = 0.0;
};

}  // namespace hbm_fast
