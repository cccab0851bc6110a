import numpy as np
import torch

from surfpose_ros.surface.silhouettes import signed_distance, silhouette_views
from surfpose_ros.surface.view_fit import fit_translations, match_silhouettes

from .rendered import render_video, ring_poses


def test_offset_and_scale_between_two_silhouettes_are_recovered():
    y, x = np.mgrid[:64, :64]
    source = signed_distance(((x - 31.5) / 14) ** 2 + ((y - 31.5) / 9) ** 2 < 1)
    target = signed_distance(((x - 34.0) / 15.4) ** 2 + ((y - 30.0) / 9.9) ** 2 < 1)
    shift, log_scale = match_silhouettes(torch.from_numpy(source)[None], torch.from_numpy(target)[None])
    assert np.allclose(shift[0], [2.5, -1.5], atol=0.3)
    assert abs(float(log_scale[0].exp()) - 1.1) < 0.02


def test_wrong_translations_are_put_right_up_to_one_common_shift_and_scale(table):
    poses = ring_poses(10, [10.0, 45.0]) + ring_poses(1, [89.0])
    generator = np.random.default_rng(1)
    wrong = []
    for pose in poses:
        guess = pose.copy()
        guess[:3, 3] += generator.normal(0, [0.04, 0.04, 0.15])
        wrong.append(guess)
    video = render_video(table, poses, size=120)
    frames = [
        type(frame)(frame.name, frame.stamp, frame.image, frame.camera, frame.mask, pose)
        for frame, pose in zip(video.frames, wrong, strict=True)
    ]
    fitted = fit_translations(silhouette_views(frames, 128)).camera_from_video

    def error(candidate) -> float:
        """Residual after the best common shift of the origin, across the line of sight."""
        difference = np.array([c[:3, 3] - p[:3, 3] for c, p in zip(candidate, poses, strict=True)])
        rotations = np.array([pose[:2, :3] for pose in poses])
        across = difference[:, :2]
        shift = np.linalg.lstsq(rotations.reshape(-1, 3), across.reshape(-1), rcond=None)[0]
        return float(np.sqrt(np.mean((across - rotations @ shift) ** 2)))

    assert error(wrong) > 0.03
    assert error(fitted) < 0.012
