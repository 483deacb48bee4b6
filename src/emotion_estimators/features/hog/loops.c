/* The library of the HOG loops.
 *
 * It has each loop once for every set of instructions that processors of a kind may have, under a
 * name that ends in the level of that set, and hog_loops_level, which says what this processor has.
 * No result depends on the level: sums are taken in the order that is written, and products are
 * rounded before they are added (-ffp-contract=off). library.py declares the functions for
 * Python.
 */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "loops.h"

#if FLT_EVAL_METHOD
#error "HOG needs float and double operations that round to float and double"
#endif

/* gcc turns two choices by one comparison into a jump, and loops with jumps into no vectors. */
#if !defined(__clang__)
#pragma GCC optimize("no-thread-jumps")
#endif

#define JOIN_(name, level) name##_##level
#define JOIN(name, level) JOIN_(name, level)
#define NAME(name) JOIN(name, LEVEL)

/* Take an array of `size` bytes from the memory that *free_memory points to.
 *
 * Arrays begin at multiples of the longest vector. A vector's gap between them keeps the same
 * places of two arrays from having the same address within a page, which some processors mistake
 * for the same memory.
 */
static inline void *take(char **free_memory, int64_t size)
{
    char *array = *free_memory;
    *free_memory += (size + 127) / 64 * 64;
    return array;
}

/* Return memory for arrays of `size` bytes together, NULL where there is none; see take. */
static inline void *reserve(int64_t size, int64_t n_arrays, char **free_memory)
{
    void *memory = malloc((size_t)(size + 64 + 128 * n_arrays));
    *free_memory = (char *)(((uintptr_t)memory + 63) / 64 * 64);
    return memory;
}

/* Return what a number is made of: marks of 64 bits are collected by |, for which all processors
 * have vector instructions, other than for counting them.
 */
static inline uint64_t bits(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* Some rows of pixels in one row of cells. They are worked on in scratch arrays that stay in the
 * first-level cache, in long flat loops which the compiler turns into vector instructions.
 */
enum { strip_pixels = 512 }; /* of some 50 bytes each */

typedef struct {
    int64_t height, width, channels, first_row, rows, n_pixels;
} Strip;

/* Return the strip that begins at a row: at least a row, at most what is left of the cells. */
static inline Strip cut_strip(
    int64_t height, int64_t width, int64_t channels, int64_t first_row, int64_t cell_height)
{
    const int64_t left = cell_height - first_row % cell_height, most = strip_pixels / width;
    const int64_t rows = most < 1 ? 1 : most < left ? most : left;
    const Strip strip = {height, width, channels, first_row, rows, rows * width};
    return strip;
}

/* Which parameters the functions have: raised with every change of them, here and in
 * library.py, so that Python does not call a library of another time.
 */
EXPORT int64_t hog_loops_interface(void) { return 1; }

#define LEVEL 0
#include "blocks.h"
#include "sums.h"
#include "integer_cells.h"
#include "float_cells.h"
#undef LEVEL

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2")
#endif
#define LEVEL 1
#include "blocks.h"
#include "sums.h"
#include "integer_cells.h"
#include "float_cells.h"
#undef LEVEL

/* Blocks are short: longer vectors only have longer remainders there. */
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push( \
    __attribute__((target("avx2,bmi,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"))), \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl")
#endif
#define LEVEL 2
#include "sums.h"
#include "integer_cells.h"
#include "float_cells.h"
#undef LEVEL
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

/* Asked for here and not by __builtin_cpu_supports, which always says no in what zig links. */
EXPORT int64_t hog_loops_level(void)
{
    const unsigned for_1 = bit_AVX2 | bit_BMI | bit_BMI2;
    const unsigned for_2 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    const unsigned xmm_and_ymm = 0x06, zmm = 0xe0; /* what the system saves of registers */
    unsigned a, b, c, d, saved, upper;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    if ((b & for_1) != for_1 || (saved & xmm_and_ymm) != xmm_and_ymm)
        return 0;
    return (b & for_2) == for_2 && (saved & zmm) == zmm ? 2 : 1;
}

#else

EXPORT int64_t hog_loops_level(void) { return 0; }

#endif
