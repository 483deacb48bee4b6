/* Draws cell histograms as stars of lines. */

#include <stdint.h>

#include "loops.h"

/* Add a line for each cell and orientation, as bright as the histogram value.
 *
 * histograms: float32 (n, cell_rows, cells_per_row, orientations)
 * row_ends: int64 (2, cell_rows, orientations), first and last row of each line
 * column_ends: int64 (2, cells_per_row, orientations)
 * pictures: float32 if single, else float64 (n, height, width), zeros to be filled
 */
EXPORT int64_t draw_cell_pictures(
    const float *histograms, int64_t n, int64_t cell_rows, int64_t cells_per_row,
    int64_t orientations, const int64_t *row_ends, const int64_t *column_ends,
    int64_t height, int64_t width, int64_t single, void *pictures)
{
    const int64_t to_last_row = cell_rows * orientations;
    const int64_t to_last_column = cells_per_row * orientations;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t r = 0; r < cell_rows; r++) {
            for (int64_t b = 0; b < cells_per_row * orientations; b++) {
                const int64_t *row_end = row_ends + r * orientations + b % orientations;
                const int64_t *column_end = column_ends + b;
                const double value =
                    (double)histograms[(i * cell_rows + r) * cells_per_row * orientations + b];
                int64_t y = row_end[0], x = column_end[0];
                const int64_t down = row_end[to_last_row] - y;
                const int64_t along = column_end[to_last_column] - x;
                const int64_t rise = down < 0 ? -down : down, go = along < 0 ? -along : along;
                const int64_t step_y = down > 0 ? 1 : -1, step_x = along > 0 ? 1 : -1;
                /* Bresenham: one pixel for each step along the longer side. */
                const int64_t long_side = rise > go ? rise : go;
                const int64_t short_side = rise > go ? go : rise;
                int64_t error = 2 * short_side - long_side;
                for (int64_t step = 0; step <= long_side; step++) {
                    const int64_t at = (i * height + y) * width + x;
                    if (single) {
                        float *pixel = (float *)pictures + at;
                        *pixel = (float)((double)*pixel + value);
                    } else {
                        ((double *)pictures)[at] += value;
                    }
                    const int turns = error >= 0 && long_side > 0;
                    if (rise > go) {
                        y += step_y;
                        x += turns ? step_x : 0;
                    } else {
                        x += step_x;
                        y += turns ? step_y : 0;
                    }
                    error += 2 * short_side - (turns ? 2 * long_side : 0);
                }
            }
        }
    }
    return 0;
}
