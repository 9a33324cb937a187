"""How much of a GPU a job may take, where its worker counts memory."""


def limit_gpu_memory(gigabytes: float | None) -> None:
    """Let this process take at most so much of each GPU: beyond it fails, and not the jobs beside it."""
    if not gigabytes:
        return
    import torch

    if not torch.cuda.is_available():
        return
    for device in range(torch.cuda.device_count()):
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, gigabytes * 1e9 / total), device)
