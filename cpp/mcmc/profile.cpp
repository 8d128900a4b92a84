#include "mcmc/profile.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "math/sum.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
// The terms log(alpha beta_k + j) bend over a range of log alpha no shorter than this.
constexpr double first_spacing = 0.75;
constexpr int points_of_a_tail = 14;
constexpr std::size_t most_points = 240;
// What lies this far below the highest point (in nats) has no probability that any number of draws shows.
constexpr double negligible = 40.0;
constexpr double looked_at = 16.0;    // where the spacing follows the density
constexpr double largest_rise = 1.2;  // of the log density from point to point there
// A valley less deep is crossed by any chain; a mode with less probability is not worth a region.
constexpr double least_depth = 1.0;
constexpr double least_share = 1e-6;
// A region is sampled by its own coordinates alone where no scale is off by more than this factor. In more categories
// than these hardly a proposal of the profile is accepted, and only modes are worth one.
constexpr double widest = 4.0;
constexpr std::size_t most_categories_to_jump = 16;
constexpr double newton_tolerance = 1e-3;  // of the log density, in nats
constexpr int max_newton_steps = 200;

// Where the decreasing function f passes zero between a (f > 0) and b (f <= 0).
template <class Function>
double crossing(double a, double b, Function&& f) {
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (a + b);
    (f(middle) > 0.0 ? a : b) = middle;
  }
  return 0.5 * (a + b);
}

// The first point where f > 0 ends, from `from` towards +infinity (direction 1) or -infinity (-1), at most at `limit`.
template <class Function>
double end_of(double from, double direction, double limit, Function&& f) {
  double step = 1.0;
  double inside = from;
  double outside = from;
  do {
    inside = outside;
    outside = from + direction * step;
    step *= 2.0;
    if (direction * (outside - limit) >= 0.0) {
      if (f(limit) > 0.0) return limit;
      outside = limit;
      break;
    }
  } while (f(outside) > 0.0 && step < 1e9);
  return crossing(inside, outside, f);
}

void add_evenly(std::vector<double>& points, double from, double to, int n) {
  for (int i = 0; i <= n; ++i) points.push_back(from + (to - from) * i / n);
}

// Points where the likelihood is the power alpha^exponent, from `edge` to `limit`, or as far as it matters.
void add_tail(std::vector<double>& points, const AlphaPrior& prior, double edge, double limit, double exponent) {
  if (edge == limit) return;
  const double direction = limit > edge ? 1.0 : -1.0;
  const auto log_density = [&](double t) { return prior.log_density(t) + exponent * t; };
  const auto slope = [&](double t) { return direction * (prior.log_density_slope(t) + exponent); };
  const double top = slope(edge) > 0.0 ? end_of(edge, direction, limit, slope) : edge;
  const auto matters = [&](double t) { return log_density(t) - log_density(top) + negligible; };
  const double last = end_of(top, direction, limit, matters);
  if (top != edge) add_evenly(points, end_of(top, -direction, edge, matters), top, points_of_a_tail);
  add_evenly(points, top, last, points_of_a_tail);
}

}  // namespace

Profile::Profile(const SufficientStatistics& statistics, const ModelView& model, TimedPoll& poll)
    : model_(model), dimension_(model.beta.fixed ? 1 : statistics.n_categories()) {
  PosteriorDensity density(statistics, model);
  scan(density, poll);
  divide(density, poll);
}

// Newton steps on log beta with sum beta = 1: with the gradient g of log beta's density and the diagonal d of minus its
// Hessian, u = D^-1 (g - beta (beta^T D^-1 g) / (beta^T D^-1 beta)).
Profile::Point Profile::point_at(PosteriorDensity& density, double log_alpha, std::vector<double> log_beta,
                                 TimedPoll& poll) const {
  const std::size_t n_categories = density.n_categories();
  Point point{log_alpha, model_.alpha.log_density(log_alpha), std::move(log_beta), {}};
  if (model_.beta.fixed) {
    point.log_marginal += density.log_likelihood(log_alpha, point.log_beta.data(), nullptr);
    return point;
  }
  const std::vector<double>& b = model_.beta.values;
  std::vector<double> slopes(n_categories), concentration(n_categories), d(n_categories), step(n_categories),
      next(n_categories);
  point.scale.resize(n_categories);
  const auto value_of = [&](const std::vector<double>& at, double* gradient) {
    double value = density.log_likelihood(log_alpha, at.data(), gradient);
    for (std::size_t k = 0; k < n_categories; ++k) value += b[k] * at[k];
    return value;
  };
  double value = value_of(point.log_beta, slopes.data());
  double q = 0.0;
  for (int i = 0; i < max_newton_steps; ++i) {
    poll();
    double mass = 0.0;
    for (std::size_t k = 0; k < n_categories; ++k) {
      concentration[k] = std::exp(std::clamp(log_alpha + point.log_beta[k], -300.0, 300.0));
      mass += b[k] + slopes[k];
    }
    density.statistics().hessian(concentration.data(), d.data());
    q = 0.0;
    double along = 0.0;
    for (std::size_t k = 0; k < n_categories; ++k) {
      const double beta = std::exp(point.log_beta[k]);
      d[k] = b[k] - concentration[k] * concentration[k] * d[k];
      step[k] = (b[k] + slopes[k] - beta * mass) / d[k];
      q += beta * beta / d[k];
      along += beta * step[k];
    }
    double gain = 0.0, longest = 0.0;
    for (std::size_t k = 0; k < n_categories; ++k) {
      const double beta = std::exp(point.log_beta[k]);
      const double gradient = d[k] * step[k];
      step[k] -= beta / d[k] * along / q;
      gain += gradient * step[k];
      longest = std::max(longest, std::abs(step[k]));
    }
    if (!(gain > newton_tolerance)) break;
    bool moved = false;
    for (double length = std::min(1.0, 8.0 / longest); length > 1e-6; length *= 0.5) {
      for (std::size_t k = 0; k < n_categories; ++k) next[k] = point.log_beta[k] + length * step[k];
      const double total = log_sum_exp(next);
      for (double& x : next) x -= total;
      if (value_of(next, nullptr) >= value + 1e-4 * length * gain) {
        moved = true;
        break;
      }
    }
    if (!moved) break;
    point.log_beta = next;
    value = value_of(point.log_beta, slopes.data());
  }
  point.log_marginal += value - 0.5 * std::log(q);
  for (std::size_t k = 0; k < n_categories; ++k) {
    point.scale[k] = 1.0 / std::sqrt(d[k]);
    point.log_marginal += std::log(point.scale[k]);
  }
  return point;
}

void Profile::scan(PosteriorDensity& density, TimedPoll& poll) {
  // Below `first` and above `last` the likelihood is a power of alpha to within exp(-3).
  const SufficientStatistics& statistics = density.statistics();
  const auto totals = statistics.total_value_weights();
  const std::size_t n_categories = density.n_categories();
  double levels = 1.0, squares = 1.0, exponent = 0.0;
  for (std::size_t i = 0; i < totals.values.size(); ++i) {
    levels += totals.weights[i] * (1.0 + std::log(totals.values[i]));
    squares += totals.weights[i] * totals.values[i] * totals.values[i];
    exponent -= totals.weights[i];
  }
  for (std::size_t k = 0; k < n_categories; ++k) exponent += statistics.n_positive(k);
  double lowest = -infinity, highest = infinity;
  if (model_.alpha.bounded()) {  // a little inside the walls, where the coordinate of alpha is still finite
    const double low = std::log(model_.alpha.lower), width = std::log(model_.alpha.upper) - low;
    lowest = low + 1e-9 * width;
    highest = low + (1.0 - 1e-9) * width;
  }
  const double first = std::clamp(-std::log(levels) - 3.0, lowest, highest);
  const double last = std::clamp(std::log(squares * static_cast<double>(n_categories)) + 3.0, lowest, highest);
  std::vector<double> middle, below, above;
  add_evenly(middle, first, last, 1 + static_cast<int>((last - first) / first_spacing));
  add_tail(below, model_.alpha, first, lowest, exponent);
  add_tail(above, model_.alpha, last, highest, 0.0);

  std::vector<double> log_beta(n_categories);
  for (std::size_t k = 0; k < n_categories; ++k) {
    log_beta[k] = std::log(model_.beta.values[k] + (model_.beta.fixed ? 0.0 : statistics.n_positive(k)));
  }
  const double sum = log_sum_exp(log_beta);
  for (double& x : log_beta) x -= sum;
  for (const double t : middle) {
    poll();
    points_.push_back(point_at(density, t, points_.empty() ? log_beta : points_.back().log_beta, poll));
  }
  // In the tails the prior and the power alone change.
  const Point ends[] = {points_.front(), points_.back()};
  const auto add_points = [&](const std::vector<double>& tail, const Point& end, double power) {
    for (const double t : tail) {
      Point p = end;
      p.log_alpha = t;
      p.log_marginal +=
          model_.alpha.log_density(t) - model_.alpha.log_density(end.log_alpha) + power * (t - end.log_alpha);
      points_.push_back(std::move(p));
    }
  };
  add_points(below, ends[0], exponent);
  add_points(above, ends[1], 0.0);
  const auto order = [](const Point& a, const Point& b) { return a.log_alpha < b.log_alpha; };
  const auto same = [](const Point& a, const Point& b) { return a.log_alpha == b.log_alpha; };
  std::sort(points_.begin(), points_.end(), order);
  points_.erase(std::unique(points_.begin(), points_.end(), same), points_.end());

  // Between points far apart in height there are more, where that may matter.
  bool added = true;
  while (added && points_.size() < most_points) {
    added = false;
    double best = -infinity;
    for (const Point& p : points_) best = std::max(best, p.log_marginal);
    const std::vector<Point> before = std::move(points_);
    points_.clear();
    const auto height = [&](std::size_t i) { return before[i].log_marginal; };
    const auto is_peak = [&](std::size_t i) {
      return (i == 0 || height(i) >= height(i - 1)) && (i + 1 == before.size() || height(i) >= height(i + 1));
    };
    for (std::size_t i = 0; i < before.size(); ++i) {
      points_.push_back(before[i]);
      if (i + 1 == before.size()) break;
      const double rise = std::abs(height(i) - height(i + 1));
      // beside a peak the density may still rise by as much as it falls
      const double reach = std::max(height(i), height(i + 1)) + (is_peak(i) || is_peak(i + 1) ? rise : 0.0);
      if (!(rise > largest_rise && reach > best - looked_at)) continue;
      if (before[i + 1].log_alpha - before[i].log_alpha < 1e-9 * (1.0 + std::abs(before[i].log_alpha))) continue;
      poll();
      const double half_way = 0.5 * (before[i].log_alpha + before[i + 1].log_alpha);
      points_.push_back(point_at(density, half_way, before[i].log_beta, poll));
      added = true;
    }
  }

  double best = -infinity, sum_of_shares = 0.0;
  for (const Point& p : points_) best = std::max(best, p.log_marginal);
  for (std::size_t i = 0; i < points_.size(); ++i) {
    Point& p = points_[i];
    const double left = i > 0 ? points_[i - 1].log_alpha : p.log_alpha;
    const double right = i + 1 < points_.size() ? points_[i + 1].log_alpha : p.log_alpha;
    p.cell = 0.5 * (right - left);
    p.share = p.cell * std::exp(p.log_marginal - best);
    sum_of_shares += p.share;
  }
  for (Point& p : points_) p.share /= sum_of_shares;
}

void Profile::divide(PosteriorDensity& density, TimedPoll& poll) {
  // Heights on the scale on which chains move: under a prior with bounds the coordinate is the logit.
  const std::size_t n = points_.size();
  std::vector<double> height(n);
  AlphaCoordinate logit =
      AlphaCoordinate::around(model_.alpha, 0.5 * (points_.front().log_alpha + points_.back().log_alpha));
  for (std::size_t i = 0; i < n; ++i)
    height[i] = points_[i].log_marginal + logit.log_slope(logit.inverse(points_[i].log_alpha));

  struct Hill {
    std::size_t begin, end, top;  // points begin .. end - 1
  };
  std::vector<Hill> hills;
  for (std::size_t i = 0, begin = 0; i < n; ++i) {
    const bool lowest = i + 1 < n && i > begin && height[i] < height[i - 1] && height[i] <= height[i + 1];
    if (!lowest && i + 1 < n) continue;
    hills.push_back({begin, i + 1, begin});
    begin = i + 1;
  }
  for (Hill& hill : hills) {
    for (std::size_t i = hill.begin; i < hill.end; ++i)
      if (height[i] > height[hill.top]) hill.top = i;
  }
  const auto merge = [&](std::size_t left) {
    Hill& hill = hills[left];
    if (height[hills[left + 1].top] > height[hill.top]) hill.top = hills[left + 1].top;
    hill.end = hills[left + 1].end;
    hills.erase(hills.begin() + static_cast<std::ptrdiff_t>(left) + 1);
  };
  // What separates too little, or too little of the probability, is one hill with its neighbour, the least first.
  while (hills.size() > 1) {
    std::size_t weakest = 0;
    double depth = infinity;
    for (std::size_t h = 0; h + 1 < hills.size(); ++h) {
      const double valley = std::min(height[hills[h].end - 1], height[hills[h].end]);
      double here = std::min(height[hills[h].top], height[hills[h + 1].top]) - valley;
      for (const Hill& hill : {hills[h], hills[h + 1]}) {
        double share = 0.0;
        for (std::size_t i = hill.begin; i < hill.end; ++i) share += points_[i].share;
        if (share < least_share) here = 0.0;
      }
      if (here < depth) depth = here, weakest = h;
    }
    if (depth >= least_depth) break;
    merge(weakest);
  }

  std::vector<double> y(dimension_), log_beta(density.n_categories());
  for (const Hill& hill : hills) {
    const double upper = hill.end < n ? points_[hill.end - 1].log_alpha : infinity;
    const double lower = hill.begin > 0 ? points_[hill.begin - 1].log_alpha : -infinity;
    const Point& top = points_[hill.top];
    density.use(AlphaCoordinate::around(model_.alpha, top.log_alpha));
    density.coordinates(top.log_alpha, top.log_beta.data(), y.data());
    climb(density, y, poll);
    double log_alpha = density.parameters(y.data(), log_beta.data());
    if (!(log_alpha > lower && log_alpha <= upper)) {
      log_alpha = top.log_alpha;
      log_beta = top.log_beta;
    }
    density.use(AlphaCoordinate::around(model_.alpha, log_alpha));
    density.coordinates(log_alpha, log_beta.data(), y.data());
    regions_.push_back({upper, density.coordinate(), whitening_at(density, y.data())});
  }

  double best = -infinity;
  for (const Point& p : points_) best = std::max(best, p.log_marginal);
  const auto widened = [&](const Point& p) { return p.cell * std::exp(0.5 * (p.log_marginal - best)); };
  std::vector<double> start(n);
  double all = 0.0;
  for (std::size_t i = 0; i < n; ++i) all += start[i] = widened(points_[i]);
  for (double& s : start) s /= 2.0 * all;
  for (const Hill& hill : hills) {
    double of_hill = 0.0;
    for (std::size_t i = hill.begin; i < hill.end; ++i) of_hill += widened(points_[i]);
    for (std::size_t i = hill.begin; i < hill.end; ++i) {
      start[i] += 0.5 * widened(points_[i]) / of_hill / static_cast<double>(hills.size());
    }
  }
  double reached = 0.0;
  for (const double s : start) start_shares_.push_back(reached += s);

  if (hills.size() == 1 && !is_uneven()) return;
  reached = 0.0;
  for (const Point& p : points_) {
    if (p.share < least_share * 1e-3) continue;
    shares_.push_back(reached += p.share);
    normals_.push_back(whitening_of(p));
    double log_determinant = std::log(normals_.back().stretch);
    for (const double s : normals_.back().scale) log_determinant += std::log(s);
    log_heights_.push_back(std::log(p.share) - log_determinant);
  }
}

// Whether the one region is far from a normal: log alpha spreads much wider than the curvature at the mode implies, or
// the scale of a beta given alpha changes much over all but a hundredth of the probability.
bool Profile::is_uneven() const {
  if (dimension_ > most_categories_to_jump) return false;
  const Region& region = regions_[0];
  double mean = 0.0, square = 0.0;
  for (const Point& p : points_) {
    const double v = region.coordinate.inverse(p.log_alpha);
    mean += p.share * v;
    square += p.share * v * v;
  }
  const double sd = std::sqrt(std::max(square - mean * mean, 0.0));
  if (model_.beta.fixed) return sd > widest * region.whitening.scale[0];
  double q = 0.0;  // log alpha moves by beta^T dy, which has the variance stretch^2 q
  const double top = *std::max_element(region.whitening.centre.begin(), region.whitening.centre.end());
  double sum = 0.0;
  for (const double y : region.whitening.centre) sum += std::exp(y - top);
  for (std::size_t k = 0; k < dimension_; ++k) {
    const double share = std::exp(region.whitening.centre[k] - top) / sum * region.whitening.scale[k];
    q += share * share;
  }
  if (sd > widest * region.whitening.stretch * std::sqrt(q)) return true;

  std::vector<double> least(dimension_, infinity), most(dimension_, 0.0);
  double below = 0.0;
  for (const Point& p : points_) {
    below += p.share;
    if (below < 0.005 || below - p.share > 0.995) continue;
    for (std::size_t k = 0; k < dimension_; ++k) {
      least[k] = std::min(least[k], p.scale[k]);
      most[k] = std::max(most[k], p.scale[k]);
    }
  }
  for (std::size_t k = 0; k < dimension_; ++k)
    if (most[k] > widest * least[k]) return true;
  return false;
}

// The Gaussian of log(alpha beta) around a point: beta given alpha by its curvature, log alpha as wide as the cell.
Whitening Profile::whitening_of(const Point& point) const {
  if (model_.beta.fixed) return {{point.log_alpha}, {point.cell}, {1.0}, 1.0};
  Whitening result{point.log_beta, point.scale, point.scale, 1.0};
  double q = 0.0;
  for (std::size_t k = 0; k < dimension_; ++k) {
    result.centre[k] += point.log_alpha;
    result.direction[k] *= std::exp(point.log_beta[k]);
    q += result.direction[k] * result.direction[k];
  }
  for (double& w : result.direction) w /= std::sqrt(q);
  result.stretch = point.cell / std::sqrt(q);  // log alpha moves by beta^T dy: its variance is stretch^2 q
  return result;
}

double Profile::draw_start(std::size_t c, std::size_t n, Stream& stream, double* log_beta) const {
  const double level = (static_cast<double>(c) + stream.uniform()) / static_cast<double>(n) * start_shares_.back();
  const auto found = std::lower_bound(start_shares_.begin(), start_shares_.end(), level);
  const auto place = static_cast<std::size_t>(found - start_shares_.begin());
  const Point& point = points_[std::min(place, points_.size() - 1)];
  // anywhere in its cell
  double log_alpha = point.log_alpha + (stream.uniform() - 0.5) * point.cell;
  if (log_alpha < points_.front().log_alpha || log_alpha > points_.back().log_alpha) log_alpha = point.log_alpha;
  if (model_.beta.fixed) {
    std::copy(point.log_beta.begin(), point.log_beta.end(), log_beta);
    return log_alpha;
  }
  std::vector<double> z(dimension_), y(dimension_);
  for (double& x : z) x = normal(stream);
  whitening_of(point).to_coordinates(z.data(), y.data());
  const double total = log_sum_exp(y);
  for (std::size_t k = 0; k < dimension_; ++k) log_beta[k] = y[k] - total;
  return log_alpha;
}

void Profile::draw(Stream& stream, double* y) const {
  const auto found = std::lower_bound(shares_.begin(), shares_.end(), stream.uniform() * shares_.back());
  std::vector<double> z(dimension_);
  for (double& x : z) x = normal(stream);
  const auto place = static_cast<std::size_t>(found - shares_.begin());
  normals_[std::min(place, normals_.size() - 1)].to_coordinates(z.data(), y);
}

double Profile::log_density(const double* y) const {
  std::vector<double> z(dimension_), terms(normals_.size());
  for (std::size_t j = 0; j < normals_.size(); ++j) {
    normals_[j].from_coordinates(y, z.data());
    terms[j] = log_heights_[j] - 0.5 * dot(z, z);
  }
  return log_sum_exp(terms);
}

Region region_of_fixed_alpha(PosteriorDensity& density, TimedPoll& poll) {
  std::vector<double> y(density.dimension(), 0.0);
  if (!density.model().beta.fixed) {
    for (std::size_t k = 0; k < density.n_categories(); ++k) {
      y[k] = std::log(density.model().beta.values[k] + density.statistics().n_positive(k));
    }
  }
  climb(density, y, poll);
  return {infinity, {}, whitening_at(density, y.data())};
}

Mode highest_mode(const SufficientStatistics& statistics, const ModelView& model, TimedPoll& poll) {
  PosteriorDensity density(statistics, model);
  std::vector<Region> regions;
  if (density.alpha_fixed()) {
    regions.push_back(region_of_fixed_alpha(density, poll));
  } else {
    regions = Profile(statistics, model, poll).regions();
  }
  const auto height = [&](const Region& region) {
    density.use(region.coordinate);
    const double* y = region.whitening.centre.data();
    return density.value(y) - density.coordinate_part(y);
  };
  const auto highest = std::max_element(regions.begin(), regions.end(),
                                        [&](const Region& a, const Region& b) { return height(a) < height(b); });
  density.use(highest->coordinate);
  const double* y = highest->whitening.centre.data();
  Mode mode{0.0, std::vector<double>(density.n_categories()), 0.0};
  const double v = density.scale(y, mode.log_beta.data());
  mode.log_alpha = density.parameters(y, mode.log_beta.data());
  if (density.alpha_fixed()) return mode;
  std::vector<double> slope(density.dimension(), 1.0), z(density.dimension());
  if (!model.beta.fixed) {  // v = logsumexp(y)
    for (std::size_t k = 0; k < slope.size(); ++k) slope[k] = std::exp(mode.log_beta[k]);
  }
  highest->whitening.pull_back(slope.data(), z.data());
  mode.spread = std::sqrt(dot(z, z)) * highest->coordinate.slope(v);
  return mode;
}

}  // namespace hbm_fast
