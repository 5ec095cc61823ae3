"""What a reconstruction starts from: reading, phantoms, preparation, counts."""

from fusionkit.data.dataset import Dataset as Dataset
