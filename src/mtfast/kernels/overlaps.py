"""Which masks of an image overlap, without pixels."""

from mtfast._jit import i64, kernel, read, write
from mtfast.kernels.iou import BOTTOM, END, FACTS, FIRST, TOP, common_area, facts_of_list


@kernel(i64(read(i64), read(i64), read(i64), read(i64), write(i64), write(i64)))
def first_overlap(toggles, offsets, image_offsets, heights, facts, pair):
    """Find the first mask, in order, that shares a pixel with an earlier one of its image.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Lists of toggles of n masks.
    image_offsets : (n_images + 1,) int64
        The masks of image i are image_offsets[i] .. image_offsets[i + 1] - 1.
    heights : (n,) int64
        Of the frame of each mask.
    facts : (FACTS * n,) int64, scratch
    pair : (2,) int64, out
        The two masks, if there are any.

    Returns
    -------
    int
        1 if there are, else 0.
    """
    for image in range(image_offsets.size - 1):
        first = image_offsets[image]
        for k in range(first, image_offsets[image + 1]):
            mask = toggles[offsets[k] : offsets[k + 1]]
            here = facts[FACTS * k : FACTS * (k + 1)]
            facts_of_list(mask, heights[k], here)
            for j in range(first, k):
                there = facts[FACTS * j : FACTS * (j + 1)]
                # Of most pairs the boxes are disjoint.
                if (
                    here[FIRST] < there[END]
                    and there[FIRST] < here[END]
                    and here[TOP] < there[BOTTOM]
                    and there[TOP] < here[BOTTOM]
                    and common_area(toggles[offsets[j] : offsets[j + 1]], mask) > 0
                ):
                    pair[0] = j
                    pair[1] = k
                    return 1
    return 0
