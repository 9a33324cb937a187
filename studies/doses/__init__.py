"""What steps, learning rate, LoRA and the number of training problems change: 24 lab runs."""
