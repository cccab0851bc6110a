"""Make surfpose_ros/category/photos from the pictures that scikit-image carries: backgrounds for training.

    python tools/embed_photos.py

All of them are in the public domain or CC0; the table in photos/README.md names their authors.
"""

from pathlib import Path

import cv2
import skimage

from surfpose_ros.category.backgrounds import PHOTOS

SIDE = 384
NAMES = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "retina.jpg",
    "rocket.jpg",
)


def main() -> None:
    """Write the middle square of each, `SIDE` pixels wide."""
    for name in NAMES:
        picture = cv2.imread(str(Path(skimage.__file__).parent / "data" / name))
        height, width = picture.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = picture[top : top + side, left : left + side]
        smooth = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
        small = cv2.resize(square, (SIDE, SIDE), interpolation=smooth)
        cv2.imwrite(str(PHOTOS / f"{Path(name).stem}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
