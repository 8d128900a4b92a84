// The mode of a mixture from a given start, by L-BFGS in the metric of the complete data's information, and starts of
// given labels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixture/objective.hpp"

namespace hbm_fast {

struct MixtureStop {
  std::size_t n_iterations = 0;
  bool converged = false;
};

// Moves the point to a mode: until a step of the method would gain less than `tolerance` nats. Where `poll` throws, the
// point is the best one so far. The gradient and the information at the mode are filled in.
MixtureStop maximize(MixtureObjective& objective, MixturePoint& point, double tolerance, std::size_t max_iterations,
                     TimedPoll& poll);

// Parameters from labels (N) of the groups, each -1 or a component: for each component a few Newton steps from a total
// concentration.
void start_from_labels(MixtureObjective& objective, const std::int32_t* labels, double total, MixturePoint& point,
                       TimedPoll& poll);

}  // namespace hbm_fast
